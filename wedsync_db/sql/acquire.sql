-- name: tables
-- What can be locked of what the rehearsal saw: tables that are still there and that this role may LOCK in any mode.
-- (ALTER TABLE … REFERENCES needs no more than REFERENCES on the other table, LOCK TABLE does.)
select w.relation
from unnest(%s::text[]) as w (relation)
join pg_catalog.pg_class as c on c.oid = pg_catalog.to_regclass(w.relation)
where c.relkind in ('r', 'p')
  and c.oid >= 16384 -- FirstNormalObjectId: no system catalog
  and pg_catalog.has_table_privilege(c.oid, 'select')
  and pg_catalog.has_table_privilege(c.oid, 'update, delete, truncate')

-- name: forget_activity
-- pg_stat_activity is otherwise read once per transaction.
select pg_catalog.pg_stat_clear_snapshot()

-- name: blockers
-- Whoever holds, or queues for, a mode that conflicts with one we want: the pairs are (relation, conflicting mode).
select
    w.relation, l.mode, l.granted, l.pid,
    coalesce(a.application_name, ''), coalesce(a.usename, ''), coalesce(a.state, a.backend_type, 'state unknown'),
    extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8
from unnest(%s::text[], %s::text[]) as w (relation, mode)
join pg_catalog.pg_locks as l
    on l.locktype = 'relation' and l.relation = pg_catalog.to_regclass(w.relation)::oid and l.mode = w.mode
join pg_catalog.pg_database as d on d.oid = l.database and d.datname = pg_catalog.current_database()
left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where l.pid is distinct from pg_catalog.pg_backend_pid()
order by l.granted desc, a.xact_start nulls last, w.relation, l.pid

-- name: wait_at_most
-- Until the end of the savepoint it is set in, if that fails; else of the transaction, whose session has the same limit.
select pg_catalog.set_config('lock_timeout', %s, true)
