-- What is measured. Each query is one group: its columns are those that wedsync_db/monitor/series.py names, labels first.
-- NULL: it is not known. Nothing here waits for a lock that a client would want, except `table_sizes`, within its lock_timeout.

-- name: states
-- Clients by state, every state each time. Where this role is not shown some, the others cannot be counted.
with client as (
  select a.state, a.backend_type is null as hidden from pg_catalog.pg_stat_activity as a
  where a.backend_type = 'client backend' or a.backend_type is null and a.datid is not null
), hidden as (
  select pg_catalog.count(*) filter (where c.hidden) as clients from client as c
)
select s.name, case when s.state is null then h.clients
                    when h.clients = 0 then (select pg_catalog.count(*) from client as c where c.state = s.state) end::double precision
from (values ('active', 'active'), ('idle', 'idle'), ('idle_in_transaction', 'idle in transaction'),
             ('idle_in_transaction_aborted', 'idle in transaction (aborted)'), ('fastpath', 'fastpath function call'),
             ('disabled', 'disabled'), ('hidden', null)) as s (name, state)
cross join hidden as h

-- name: sessions
-- Places for clients, and how long the longest has been at it. Who is hidden may be older than all who are not.
with place as (
  select pg_catalog.current_setting('max_connections')::integer
           - pg_catalog.current_setting('superuser_reserved_connections')::integer
           - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::integer as clients
), one as (
  select a.*, a.backend_type is null as hidden from pg_catalog.pg_stat_activity as a
  where (a.backend_type = 'client backend' or a.backend_type is null and a.datid is not null)
), seen as (
  select pg_catalog.count(*) as clients, pg_catalog.bool_or(o.hidden) as hidden,
         pg_catalog.max(pg_catalog.clock_timestamp() - o.xact_start) filter (where o.pid <> pg_catalog.pg_backend_pid())
           as transaction,
         pg_catalog.max(pg_catalog.clock_timestamp() - o.query_start)
           filter (where o.state = 'active' and o.pid <> pg_catalog.pg_backend_pid()) as query,
         pg_catalog.max(pg_catalog.clock_timestamp() - o.state_change) filter (where o.state like 'idle in transaction%%') as idle
  from one as o
)
select s.clients::double precision, p.clients::double precision, s.clients::double precision / greatest(p.clients, 1),
       case when not s.hidden then coalesce(extract(epoch from s.transaction), 0) end::double precision,
       case when not s.hidden then coalesce(extract(epoch from s.query), 0) end::double precision,
       case when not s.hidden then coalesce(extract(epoch from s.idle), 0) end::double precision
from seen as s cross join place as p

-- name: database
-- Times are only measured with track_io_timing: without it they are not zero but unknown, as checksums that are off are.
select d.xact_commit::float8, d.xact_rollback::float8, d.blks_hit::float8, d.blks_read::float8, d.tup_returned::float8,
       d.tup_fetched::float8, d.tup_inserted::float8, d.tup_updated::float8, d.tup_deleted::float8, d.conflicts::float8,
       d.temp_files::float8, d.temp_bytes::float8, d.deadlocks::float8, d.checksum_failures::float8,
       case when io.timed then d.blk_read_time / 1000 end, case when io.timed then d.blk_write_time / 1000 end,
       d.session_time / 1000, d.active_time / 1000, d.idle_in_transaction_time / 1000, d.sessions::float8,
       d.sessions_abandoned::float8, d.sessions_fatal::float8, d.sessions_killed::float8
from pg_catalog.pg_stat_database as d
cross join (select pg_catalog.current_setting('track_io_timing')::boolean as timed) as io
where d.datname = pg_catalog.current_database()

-- name: wal
-- What PostgreSQL 15 to 18 all count.
select w.wal_records::float8, w.wal_fpi::float8, w.wal_bytes::float8, w.wal_buffers_full::float8
from pg_catalog.pg_stat_wal as w

-- name: checkpoints
-- From 17 on.
select c.num_timed::float8, c.num_requested::float8, c.write_time / 1000, c.sync_time / 1000, c.buffers_written::float8
from pg_catalog.pg_stat_checkpointer as c

-- name: checkpoints_to_16
-- The same, where it was counted before.
select b.checkpoints_timed::float8, b.checkpoints_req::float8, b.checkpoint_write_time / 1000,
       b.checkpoint_sync_time / 1000, b.buffers_checkpoint::float8
from pg_catalog.pg_stat_bgwriter as b

-- name: bgwriter
-- What is left of the view in 18.
select b.buffers_clean::float8, b.maxwritten_clean::float8, b.buffers_alloc::float8 from pg_catalog.pg_stat_bgwriter as b

-- name: locks
-- Everybody may see who waits.
select pg_catalog.count(distinct l.pid)::double precision,
       coalesce(extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.min(l.waitstart)), 0)::double precision
from pg_catalog.pg_locks as l where not l.granted

-- name: wraparound
-- Of all databases: the oldest stops the server.
select pg_catalog.max(pg_catalog.age(d.datfrozenxid))::double precision,
       pg_catalog.max(pg_catalog.mxid_age(d.datminmxid))::double precision
from pg_catalog.pg_database as d where d.datallowconn

-- name: replication
-- Without a replica there is no lag. On one, equal positions mean nothing when the primary is gone: when it was last heard.
select pg_catalog.pg_is_in_recovery()::integer::double precision,
       (select pg_catalog.count(*) from pg_catalog.pg_stat_replication)::double precision,
       (select case when pg_catalog.bool_and(r.state is not null)
                    then pg_catalog.max(coalesce(extract(epoch from r.replay_lag), 0)) end
        from pg_catalog.pg_stat_replication as r)::double precision,
       (select extract(epoch from w.last_msg_receipt_time) from pg_catalog.pg_stat_wal_receiver as w)::double precision,
       (select pg_catalog.count(*) from pg_catalog.pg_replication_slots as s where not s.active and not s.temporary)::float8,
       (select coalesce(pg_catalog.max(pg_catalog.pg_wal_lsn_diff(
          case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
               else pg_catalog.pg_current_wal_lsn() end, s.restart_lsn)), 0)
        from pg_catalog.pg_replication_slots as s)::double precision

-- name: archiver
-- A time and not an age: whoever reads it later still knows when.
select a.archived_count::float8, a.failed_count::float8, extract(epoch from a.last_archived_time)::double precision,
       extract(epoch from a.last_failed_time)::double precision
from pg_catalog.pg_stat_archiver as a

-- name: tables
-- Counters of the tables that did anything since they were last kept, those that did most first: what is left over comes the
-- next time. By the counters of the tables alone, as views and sizes read each index or wait for locks.
with seen as materialized (
  select c.oid, pg_catalog.format('%%I.%%I', n.nspname, c.relname) as name,
         (pg_catalog.pg_stat_get_numscans(c.oid) + pg_catalog.pg_stat_get_tuples_fetched(c.oid)
          + pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid)
          + pg_catalog.pg_stat_get_tuples_deleted(c.oid) + pg_catalog.pg_stat_get_vacuum_count(c.oid)
          + pg_catalog.pg_stat_get_autovacuum_count(c.oid) + pg_catalog.pg_stat_get_analyze_count(c.oid)
          + pg_catalog.pg_stat_get_autoanalyze_count(c.oid))::double precision as moves
  from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
), moved as materialized (
  select s.oid, s.name from seen as s
  left join rows from (pg_catalog.unnest(%(tables)s::text[]), pg_catalog.unnest(%(moves)s::double precision[]))
    as k (name, moves) on k.name = s.name
  where s.moves <> coalesce(k.moves, 0) order by s.moves - coalesce(k.moves, 0) desc, s.name limit 1000
)
select m.name, pg_catalog.pg_stat_get_numscans(m.oid)::float8, pg_catalog.pg_stat_get_tuples_returned(m.oid)::float8,
       (select coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_numscans(i.indexrelid)), 0)::float8
        from pg_catalog.pg_index as i where i.indrelid = m.oid),
       pg_catalog.pg_stat_get_tuples_fetched(m.oid)::float8, pg_catalog.pg_stat_get_tuples_inserted(m.oid)::float8,
       pg_catalog.pg_stat_get_tuples_updated(m.oid)::float8, pg_catalog.pg_stat_get_tuples_deleted(m.oid)::float8,
       pg_catalog.pg_stat_get_tuples_hot_updated(m.oid)::float8, pg_catalog.pg_stat_get_live_tuples(m.oid)::float8,
       pg_catalog.pg_stat_get_dead_tuples(m.oid)::float8,
       (pg_catalog.pg_stat_get_vacuum_count(m.oid) + pg_catalog.pg_stat_get_autovacuum_count(m.oid))::float8,
       (pg_catalog.pg_stat_get_analyze_count(m.oid) + pg_catalog.pg_stat_get_autoanalyze_count(m.oid))::float8
from moved as m

-- name: database_size
-- Of the files; takes no lock on any table.
select pg_catalog.pg_database_size(pg_catalog.current_database())::double precision

-- name: table_sizes
-- The largest tables by pages; asked exactly only where nobody holds or waits for the lock that would make this wait too.
with changed as (
  select l.relation from pg_catalog.pg_locks as l
  where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
), large as materialized (
  select n.nspname, c.relname, c.oid, c.reltoastrelid, p.pages
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  left join pg_catalog.pg_class as t on t.oid = c.reltoastrelid
  cross join lateral (
    select c.relpages::bigint + coalesce(t.relpages, 0) + coalesce(pg_catalog.sum(x.relpages), 0) as pages
    from pg_catalog.pg_index as i join pg_catalog.pg_class as x on x.oid = i.indexrelid
    where i.indrelid in (c.oid, c.reltoastrelid)) as p
  where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  order by c.relpages desc, n.nspname, c.relname limit 200
)
select pg_catalog.format('%%I.%%I', l.nspname, l.relname),
       case when asked.exactly then pg_catalog.pg_total_relation_size(l.oid) end::double precision,
       case when not asked.exactly then l.pages * pg_catalog.current_setting('block_size')::bigint end::double precision
from large as l
cross join lateral (
  select %(exactly)s and not exists (
    select from changed as b where b.relation in (l.oid, l.reltoastrelid) or exists (
      select from pg_catalog.pg_index as i where i.indexrelid = b.relation and i.indrelid in (l.oid, l.reltoastrelid))
  ) as exactly) as asked
