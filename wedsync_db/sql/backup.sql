-- name: unseen
-- what pg_dump would read and this role may not, or only in part: row policies hide rows without a word from everybody
-- who is not told to fail. First the reasons that stop it soonest
select pg_catalog.format('%I.%I', n.nspname, c.relname),
       case when not pg_catalog.has_schema_privilege(n.oid, 'USAGE') then 'schema'
            when not pg_catalog.has_table_privilege(c.oid, 'SELECT') then 'select'
            else 'policy' end
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'S')
  and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and (not pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       or case c.relkind when 'S' then not pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
                         else not pg_catalog.has_table_privilege(c.oid, 'SELECT') end
       or c.relkind = 'r' and pg_catalog.row_security_active(c.oid))
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
order by 1
limit 1

-- name: unseen_large_object
-- the first large object that this role may not read, and pg_dump would. has_largeobject_privilege is 18's
select m.oid::pg_catalog.int8
from pg_catalog.pg_largeobject_metadata m
where not pg_catalog.pg_has_role(m.lomowner, 'USAGE')
  and pg_catalog.current_setting('lo_compat_privileges') = 'off'
  and not exists (
    select from pg_catalog.aclexplode(m.lomacl) a
    where a.privilege_type = 'SELECT'
      and case a.grantee when 0 then true else pg_catalog.pg_has_role(a.grantee, 'USAGE') end)
order by 1
limit 1

-- name: patient
-- the session that holds the snapshot waits for the dump: no timeout may end it. transaction_timeout is 17's
select pg_catalog.set_config(name, '0', false)
from pg_catalog.pg_settings
where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')

-- name: sizes
-- what each table weighs in the progress, and how many rows the planner thinks it has
select pg_catalog.format('%%I.%%I', n.nspname, c.relname), c.oid::pg_catalog.int8, pg_catalog.pg_table_size(c.oid),
       c.reltuples::pg_catalog.float8,
       pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any (%s::pg_catalog.text[]::pg_catalog.regclass[])

-- name: volume
-- the database as a whole; which transactions the snapshot sees
select pg_catalog.pg_database_size(pg_catalog.current_database()),
       pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint

-- name: copying
-- what the dump is reading just now
select p.relid::pg_catalog.int8, p.tuples_processed
from pg_catalog.pg_stat_progress_copy p
join pg_catalog.pg_stat_activity a on a.pid = p.pid
where a.application_name = %s and a.datname = pg_catalog.current_database()

-- name: queue
-- who waits for a lock that this backup holds, while others already wait behind them: from then on a site stands still.
-- pg_blocking_pids is only asked about those who wait
with ours as (
  select pid from pg_catalog.pg_stat_activity where application_name = %s
), waiting as materialized (
  select l.pid, pg_catalog.min(l.waitstart) as since, pg_catalog.pg_blocking_pids(l.pid) as behind
  from pg_catalog.pg_locks l where not l.granted group by l.pid
)
select w.pid, coalesce(a.application_name, '')::pg_catalog.text, coalesce(a.usename, '')::pg_catalog.text,
       coalesce(extract(epoch from pg_catalog.clock_timestamp() - (
         select pg_catalog.min(b.since) from waiting b where w.pid = any (b.behind))), 0)::pg_catalog.float8
from waiting w
left join pg_catalog.pg_stat_activity a on a.pid = w.pid
where w.behind && array(select pid from ours)
  and w.pid not in (select pid from ours)
  and exists (select from waiting b where w.pid = any (b.behind))
order by 4 desc
limit 1

-- name: end_sessions
-- a backup that was given up leaves nobody behind on the server
select pg_catalog.pg_terminate_backend(pid, 2000)
from pg_catalog.pg_stat_activity
where application_name = %s and pid <> pg_catalog.pg_backend_pid()
