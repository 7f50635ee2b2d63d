-- What the server does while a load test runs. Nothing here reads a table, or waits for a lock that a client could hold.

-- name: database
-- Its number: names are looked up once, not ten times a second.
select d.oid::bigint from pg_catalog.pg_database as d where d.datname = %(name)s

-- name: sessions
-- Who of its sessions does something, or waits, and for what; of those alike, a few of their texts. Without a state: this
-- role is not shown what it does. Who belongs to nobody is a worker of the server itself; shards are not the load.
select a.state, a.wait_event_type, a.wait_event, pg_catalog.count(*),
       coalesce((pg_catalog.array_agg(a.query) filter (where a.state = 'active'))[1:%(texts)s::integer], '{}')
from pg_catalog.pg_stat_activity as a
where a.datid = %(database)s::oid and a.usesysid is not null and a.state is distinct from 'idle'
  and a.application_name <> pg_catalog.current_setting('application_name')
  and a.application_name not like 'wedsync-db/load-shard%%'
group by 1, 2, 3

-- name: counters
-- Of this database; WAL and checkpoints are the whole server's. The position in the WAL is known at once, counters up to a
-- second later. From 17 on.
select d.xact_commit::float8, d.xact_rollback::float8, d.blks_hit::float8, d.blks_read::float8, d.deadlocks::float8,
       d.temp_bytes::float8, d.tup_returned::float8, d.tup_fetched::float8, d.tup_inserted::float8, d.tup_updated::float8,
       d.tup_deleted::float8, w.wal_records::float8, w.wal_fpi::float8,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8, (c.num_timed + c.num_requested)::float8
from pg_catalog.pg_stat_database as d
cross join pg_catalog.pg_stat_wal as w
cross join pg_catalog.pg_stat_checkpointer as c
where d.datid = %(database)s::oid

-- name: counters_to_16
-- The same, where the background writer counts the checkpoints.
select d.xact_commit::float8, d.xact_rollback::float8, d.blks_hit::float8, d.blks_read::float8, d.deadlocks::float8,
       d.temp_bytes::float8, d.tup_returned::float8, d.tup_fetched::float8, d.tup_inserted::float8, d.tup_updated::float8,
       d.tup_deleted::float8, w.wal_records::float8, w.wal_fpi::float8,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8,
       (b.checkpoints_timed + b.checkpoints_req)::float8
from pg_catalog.pg_stat_database as d
cross join pg_catalog.pg_stat_wal as w
cross join pg_catalog.pg_stat_bgwriter as b
where d.datid = %(database)s::oid
