-- name: index
-- The index of that name beside that table: quoted name, whether it is of that table at all, whether it can be used.
select
    pg_catalog.format('%%I.%%I', n.nspname, c.relname),
    coalesce(i.indrelid = t.oid, false),
    coalesce(i.indisvalid and i.indisready and i.indislive, false)
from pg_catalog.pg_class as t
join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
join pg_catalog.pg_class as c on c.relnamespace = t.relnamespace and c.relname = %s
left join pg_catalog.pg_index as i on i.indexrelid = c.oid
where t.oid = pg_catalog.to_regclass(%s)

-- name: exists
-- Whether a relation is there.
select pg_catalog.to_regclass(%s) is not null

-- name: leftovers
-- What a REINDEX CONCURRENTLY of that table or index leaves when it is interrupted.
select pg_catalog.format('%%I.%%I', n.nspname, c.relname)
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'
  and i.indrelid in (
      select coalesce(x.indrelid, pg_catalog.to_regclass(%(relation)s)::oid)
      from (select 1) as one
      left join pg_catalog.pg_index as x on x.indexrelid = pg_catalog.to_regclass(%(relation)s)
  )
order by 1

-- name: started_before
-- An invalid index is ours if the journal says that this very statement was started here.
select exists (
    select from wedsync_db.step
    where migration = %s and direction = 'deploy' and statement is not null and sql_sha256 = %s
)
