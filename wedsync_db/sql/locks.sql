-- name: try
-- Never a blocking pg_advisory_lock: a waiter holds a snapshot, and CREATE INDEX CONCURRENTLY would wait for it.
select pg_catalog.pg_try_advisory_lock(%s, %s)

-- name: release
-- Frees the key at once.
select pg_catalog.pg_advisory_unlock(%s, %s)

-- name: holder
-- Who holds the key in this database. Two-int keys have objsubid 2; the oid columns print as unsigned.
select l.pid, coalesce(a.application_name, ''), coalesce(a.usename, ''), a.client_addr::text, a.backend_start
from pg_catalog.pg_locks as l
left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 2
  and l.classid = %s::bigint::oid and l.objid = %s::bigint::oid
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())

-- name: held_by
-- Whether that very backend still has it.
select pg_catalog.count(*) > 0
from pg_catalog.pg_locks as l
where l.locktype = 'advisory' and l.granted and l.objsubid = 2
  and l.classid = %s::bigint::oid and l.objid = %s::bigint::oid and l.pid = %s
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
