-- name: index
-- The index of that name beside that table: quoted name, whether it is of that table at all, whether it can be used.
select
    c.oid,
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

-- name: half_dropped
-- Those of these indexes that DROP INDEX CONCURRENTLY has made invalid, and not dropped.
select pg_catalog.format('%%I.%%I', n.nspname, c.relname)
from unnest(%s::text[]) as w (name)
join pg_catalog.pg_class as c on c.oid = pg_catalog.to_regclass(w.name)
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_index as i on i.indexrelid = c.oid
where not i.indisvalid
order by 1

-- name: invalid
-- The invalid indexes of a table or of an index's table, with partitions and TOAST; whether their name is one that
-- REINDEX CONCURRENTLY gives to what it makes for itself. TOAST only where this role may look into that schema.
with recursive named as (
    select coalesce(i.indrelid, w.oid) as oid
    from (select pg_catalog.to_regclass(%(relation)s)::oid) as w (oid)
    left join pg_catalog.pg_index as i on i.indexrelid = w.oid
),
tables as (
    select oid from named
    union
    select h.inhrelid from tables as t join pg_catalog.pg_inherits as h on h.inhparent = t.oid
)
select c.oid, pg_catalog.format('%%I.%%I', n.nspname, c.relname), c.relname ~ '_cc(new|old)[0-9]*$'
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where not i.indisvalid and pg_catalog.has_schema_privilege(n.oid, 'usage')
  and i.indrelid in (
      select oid from tables
      union all
      select t.reltoastrelid from pg_catalog.pg_class as t where t.oid in (select oid from tables)
  )
order by 2

-- name: partition
-- A partition, and how far it has left its table: still listed, half detached.
select
    c.oid, pg_catalog.format('%%I.%%I', pn.nspname, p.relname), pg_catalog.format('%%I.%%I', cn.nspname, c.relname),
    h.inhrelid is not null, coalesce(h.inhdetachpending, false)
from pg_catalog.pg_class as p
join pg_catalog.pg_namespace as pn on pn.oid = p.relnamespace
join pg_catalog.pg_class as c on c.oid = pg_catalog.to_regclass(%(partition)s)
join pg_catalog.pg_namespace as cn on cn.oid = c.relnamespace
left join pg_catalog.pg_inherits as h on h.inhrelid = c.oid and h.inhparent = p.oid
where p.oid = pg_catalog.to_regclass(%(table)s)

-- name: in_the_way
-- Whom a CONCURRENTLY of these relations would wait for now: who holds such a lock on them, or, where it waits for
-- snapshots, has an old one of this database. Autovacuum gives way, and lazy VACUUM is not waited for. A prepared
-- transaction has no process; which of its locks are its own, the one on its xid tells.
with recursive named as (
    select coalesce(i.indrelid, w.oid) as oid
    from (select pg_catalog.to_regclass(r)::oid from unnest(%(relations)s::text[]) as r) as w (oid)
    left join pg_catalog.pg_index as i on i.indexrelid = w.oid
),
tables as (
    select oid from named
    union
    select h.inhrelid from tables as t join pg_catalog.pg_inherits as h on h.inhparent = t.oid
),
holders as (
    select l.pid, l.virtualtransaction
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_database as d on d.oid = l.database and d.datname = pg_catalog.current_database()
    where l.locktype = 'relation' and l.granted and l.mode = any (%(modes)s::text[])
      and l.relation in (select oid from tables)
)
select
    'session', a.pid::text, coalesce(a.usename, '')::text, coalesce(a.application_name, ''),
    coalesce(a.state, a.backend_type, 'state unknown'), extract(epoch from a.xact_start)::double precision
from pg_catalog.pg_stat_activity as a
where a.datname = pg_catalog.current_database() and a.pid <> pg_catalog.pg_backend_pid()
  and a.backend_type in ('client backend', 'background worker')
  and a.pid not in (select v.pid from pg_catalog.pg_stat_progress_vacuum as v)
  and (
      a.pid in (select h.pid from holders as h)
      or (%(snapshots)s and a.backend_xmin is not null and a.xact_start is not null)
  )
union all
select
    'prepared', x.gid, x.owner::text, '', 'prepared', extract(epoch from x.prepared)::double precision
from pg_catalog.pg_prepared_xacts as x
where exists (
    select from holders as h
    join pg_catalog.pg_locks as own on own.virtualtransaction = h.virtualtransaction and own.pid is null
    where h.pid is null and own.locktype = 'transactionid' and own.transactionid = x.transaction
)
order by 6 nulls last, 2
