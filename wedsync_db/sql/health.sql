-- The health checks: each names what it is about, what was observed in the check's unit, and a line of evidence for people,
-- never a row's value and no text of a query. NULL observed: it cannot be known. No row: there is nothing of the kind. A
-- fourth column that is true makes it unhealthy whatever was observed.

-- name: connections
-- Of the places clients may have. Workers and walsenders have places of their own.
with places as (
  select pg_catalog.current_setting('max_connections')::integer
           - pg_catalog.current_setting('superuser_reserved_connections')::integer
           - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::integer as free_for_clients
), used as (
  select pg_catalog.count(*) as clients from pg_catalog.pg_stat_activity as a
  where a.backend_type = 'client backend' or a.backend_type is null and a.datid is not null
)
select '', used.clients::double precision / greatest(places.free_for_clients, 1),
       pg_catalog.format('%%s of %%s connections in use', used.clients, places.free_for_clients)
from used cross join places

-- name: hidden
-- Sessions of which this role is not shown what they do: then nothing can be said about the oldest.
select pg_catalog.count(*) from pg_catalog.pg_stat_activity as a
where a.datid is not null and a.backend_type is null and a.query = '<insufficient privilege>'

-- name: idle_in_transaction
-- Who forgot to commit keeps locks, and dead rows from going.
select pg_catalog.format('pid %%s', a.pid), extract(epoch from pg_catalog.clock_timestamp() - a.state_change)::double precision,
       pg_catalog.format('pid %%s (%%s, user %%s) is idle in a transaction%%s', a.pid,
         coalesce(nullif(a.application_name, ''), 'no application name'), a.usename,
         case when b.blocks then ' and keeps others waiting' else '' end),
       b.blocks
from pg_catalog.pg_stat_activity as a
cross join lateral (
  select exists (select from pg_catalog.pg_stat_activity as w
                 where w.wait_event_type = 'Lock' and a.pid = any (pg_catalog.pg_blocking_pids(w.pid))) as blocks) as b
where a.state like 'idle in transaction%%' and a.pid <> pg_catalog.pg_backend_pid()
order by 2 desc limit 20

-- name: oldest_snapshot
-- Whoever has an old snapshot keeps every dead row of the server from being removed: a session, or a prepared transaction.
select pg_catalog.format('pid %%s', a.pid), extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::double precision,
       pg_catalog.format('pid %%s (%%s, user %%s) has been in a transaction since %%s', a.pid,
         coalesce(nullif(a.application_name, ''), 'no application name'), a.usename,
         pg_catalog.to_char(a.xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
from pg_catalog.pg_stat_activity as a
where (a.backend_xmin is not null or a.backend_xid is not null) and a.pid <> pg_catalog.pg_backend_pid()
  and a.backend_type = 'client backend'
order by 2 desc nulls last limit 5

-- name: prepared_transaction
-- It survives restarts, keeps its locks, and nobody sees it in pg_stat_activity.
select p.gid, extract(epoch from pg_catalog.clock_timestamp() - p.prepared)::double precision,
       pg_catalog.format('prepared transaction %%s of %%s in %%s', pg_catalog.quote_literal(p.gid), p.owner, p.database)
from pg_catalog.pg_prepared_xacts as p order by 2 desc limit 5

-- name: blocked
-- The longest wait and who is at the root of it: pg_blocking_pids knows the queue behind a waiting ALTER, too.
with recursive waiting as materialized (
  select l.pid, pg_catalog.min(l.waitstart) as since, pg_catalog.pg_blocking_pids(l.pid) as holders
  from pg_catalog.pg_locks as l where not l.granted group by l.pid
), up as (
  select w.pid, w.since, h.pid as holder, 1 as steps from waiting as w cross join lateral pg_catalog.unnest(w.holders) as h (pid)
  union
  select up.pid, up.since, h.pid, up.steps + 1
  from up join waiting as w on w.pid = up.holder cross join lateral pg_catalog.unnest(w.holders) as h (pid)
  where up.steps < 50
), root as (
  select up.holder, pg_catalog.count(distinct up.pid) as blocked, pg_catalog.min(up.since) as since
  from up where not exists (select from waiting as w where w.pid = up.holder)
  group by up.holder
)
select pg_catalog.format('pid %%s', r.holder), extract(epoch from pg_catalog.clock_timestamp() - r.since)::double precision,
       pg_catalog.format('%%s wait for %%s', case r.blocked when 1 then '1 session' else r.blocked || ' sessions' end,
         case when r.holder = 0 then 'a prepared transaction'
              else pg_catalog.format('pid %%s (%%s, user %%s, %%s)', r.holder,
                     coalesce(nullif(a.application_name, ''), 'no application name'), a.usename, a.state) end),
       r.blocked >= 5
from root as r left join pg_catalog.pg_stat_activity as a on a.pid = r.holder
order by 2 desc limit 20

-- name: replica_lag
-- On a replica equal positions mean nothing when the primary is gone: the receiver has to stream and to have heard lately.
select coalesce(nullif(r.application_name, ''), 'pid ' || r.pid),
       case when r.state = 'streaming' then coalesce(extract(epoch from r.replay_lag), 0)::double precision end,
       pg_catalog.format('replica %%s is %%s', coalesce(nullif(r.application_name, ''), r.pid::text), r.state)
from pg_catalog.pg_stat_replication as r where r.state <> 'backup'
union all
select 'receiver',
       case when w.status = 'streaming' and w.last_msg_receipt_time > pg_catalog.clock_timestamp() - interval '1 minute' then
         case when pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() then 0
              else extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) end
       end::double precision,
       case when w.status is null then 'this replica receives nothing: its primary is gone'
            else pg_catalog.format('the receiver is %%s', w.status) end
from (select) as here left join pg_catalog.pg_stat_wal_receiver as w on true
where pg_catalog.pg_is_in_recovery()

-- name: replication_slot
-- An unused slot keeps WAL until the disk is full. Since when is written down from 17 on: before, nobody knows.
select s.slot_name::text, {inactive}, pg_catalog.format('slot %%s is unused and keeps %%s of WAL (%%s)', s.slot_name,
         coalesce(pg_catalog.pg_size_pretty(pg_catalog.pg_wal_lsn_diff(
           case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
                else pg_catalog.pg_current_wal_lsn() end, s.restart_lsn)), 'nothing'),
         coalesce(s.wal_status, 'no WAL status')),
       s.wal_status in ('unreserved', 'lost')
from pg_catalog.pg_replication_slots as s where not s.active and not s.temporary

-- name: wraparound
-- At two billion the server stops taking writes; multixacts wrap apart.
select d.datname::text, greatest(pg_catalog.age(d.datfrozenxid), pg_catalog.mxid_age(d.datminmxid))::double precision,
       pg_catalog.format('database %%s: %%s transactions and %%s multixacts since all of it was frozen', d.datname,
         pg_catalog.age(d.datfrozenxid), pg_catalog.mxid_age(d.datminmxid))
from pg_catalog.pg_database as d where d.datallowconn order by 2 desc limit 3

-- name: archiver
-- How long archiving has been failing; off is nothing to be ill of, but no backup by WAL either.
select '', case when pg_catalog.current_setting('archive_mode') = 'off' then 0
                when a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
                  then extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.last_archived_time, a.stats_reset))
                else 0 end::double precision,
       case when pg_catalog.current_setting('archive_mode') = 'off' then 'archiving is off'
            else pg_catalog.format('last archived %%s, last failed %%s', coalesce(a.last_archived_wal, 'nothing'),
                   coalesce(a.last_failed_wal, 'nothing')) end
from pg_catalog.pg_stat_archiver as a

-- name: sequence
-- A column ends before its sequence does: an int4 key with a bigint sequence. What may not be read is unknown.
select pg_catalog.format('%%I.%%I.%%I', n.nspname, c.relname, a.attname),
       case when pg_catalog.has_sequence_privilege(q.oid, 'select, usage') then coalesce(v.last_value, 0)
         / least(v.max_value, case a.atttypid when 'pg_catalog.int2'::pg_catalog.regtype then 32767
                              when 'pg_catalog.int4'::pg_catalog.regtype then 2147483647
                              else 9223372036854775807 end)::double precision end,
       pg_catalog.format('key %%I.%%I.%%I is %%s', n.nspname, c.relname, a.attname, pg_catalog.format_type(a.atttypid, null))
from pg_catalog.pg_class as q
join pg_catalog.pg_namespace as s on s.oid = q.relnamespace
join pg_catalog.pg_sequences as v on v.schemaname = s.nspname and v.sequencename = q.relname
join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = q.oid
  and d.deptype in ('a', 'i') and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
join pg_catalog.pg_class as c on c.oid = d.refobjid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = d.refobjsubid
where q.relkind = 'S'
order by 2 desc nulls first limit 20

-- name: table_bloat
-- Dead rows among all rows of large tables, by the counters: an estimate that costs nothing and blocks nobody.
select pg_catalog.format('%%I.%%I', s.schemaname, s.relname),
       s.n_dead_tup / nullif(s.n_dead_tup + s.n_live_tup, 0)::double precision,
       pg_catalog.format('%%I.%%I: %%s dead rows of %%s, %%s', s.schemaname, s.relname, s.n_dead_tup,
         s.n_dead_tup + s.n_live_tup, pg_catalog.pg_size_pretty(c.relpages::bigint
           * pg_catalog.current_setting('block_size')::bigint))
from pg_catalog.pg_stat_user_tables as s join pg_catalog.pg_class as c on c.oid = s.relid
where c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint > %(least_bytes)s and s.n_dead_tup > 0
order by 2 desc limit 10

-- name: autovacuum
-- Dead rows as a multiple of what starts autovacuum for this table, its own settings included; only what has been so for
-- long enough to matter: small tables come and go.
select pg_catalog.format('%%I.%%I', n.nspname, c.relname),
       pg_catalog.pg_stat_get_dead_tuples(c.oid) / greatest(limits.threshold + limits.scale * greatest(c.reltuples, 0), 1)
         ::double precision,
       pg_catalog.format('%%I.%%I: %%s dead rows, autovacuum %%s', n.nspname, c.relname,
         pg_catalog.pg_stat_get_dead_tuples(c.oid), case when limits.enabled then 'is behind' else 'is off' end)
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
  select coalesce((pg_catalog.max(o.option_value) filter (where o.option_name = 'autovacuum_vacuum_threshold'))::float8,
                  pg_catalog.current_setting('autovacuum_vacuum_threshold')::float8) as threshold,
         coalesce((pg_catalog.max(o.option_value) filter (where o.option_name = 'autovacuum_vacuum_scale_factor'))::float8,
                  pg_catalog.current_setting('autovacuum_vacuum_scale_factor')::float8) as scale,
         coalesce((pg_catalog.max(o.option_value) filter (where o.option_name = 'autovacuum_enabled'))::boolean, true) as enabled
  from pg_catalog.pg_options_to_table(c.reloptions) as o) as limits
where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and pg_catalog.pg_stat_get_dead_tuples(c.oid) > 1000
  and not pg_catalog.pg_is_in_recovery()
order by 2 desc limit 10

-- name: stale_statistics
-- Nobody analyzed it ever, with rows in it; or a parent, which autovacuum never analyzes, not for a week. Nothing to ask on
-- a replica, which has no counters of the kind.
select '', pg_catalog.count(*)::double precision,
       coalesce(pg_catalog.string_agg(pg_catalog.format('%%I.%%I', x.nspname, x.relname), ', ' order by x.nspname, x.relname)
         filter (where x.place <= 5), 'none')
from (
  select n.nspname, c.relname, pg_catalog.row_number() over (order by n.nspname, c.relname) as place
  from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  cross join lateral (select greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid),
                                      pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)) as at) as analyzed
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence = 'p'
    and not pg_catalog.pg_is_in_recovery()
    and (c.relkind in ('r', 'm') and c.reltuples < 0 and pg_catalog.pg_stat_get_live_tuples(c.oid) > 10000
         or c.relkind = 'p' and (analyzed.at is null or analyzed.at < pg_catalog.now() - interval '7 days')
            and (select pg_catalog.sum(pg_catalog.pg_stat_get_live_tuples(i.inhrelid)) from pg_catalog.pg_inherits as i
                 where i.inhparent = c.oid) > 10000)
) as x

-- name: invalid_index
-- Left by an interrupted CONCURRENTLY: it costs every write and serves no query. One that is being built is none.
select pg_catalog.format('%%I.%%I', n.nspname, c.relname), 1::double precision,
       pg_catalog.format('index %%I.%%I is not valid: left by an interrupted %%s', n.nspname, c.relname,
         case when c.relname ~ '_cc(new|old)[0-9]*$' then 'REINDEX CONCURRENTLY' else 'CREATE INDEX CONCURRENTLY' end)
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid and c.relkind = 'i'
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where not i.indisvalid
  and not exists (select from pg_catalog.pg_stat_progress_create_index as g
                  where g.relid = i.indrelid and (g.index_relid = i.indexrelid or g.index_relid = 0))

-- name: counters
-- What has to be looked at twice. The epoch changes whenever the counters began anew; a crash shows in pg_stat_bgwriter.
select pg_catalog.md5(pg_catalog.concat_ws('/', s.system_identifier, pg_catalog.pg_postmaster_start_time(), d.stats_reset,
         b.stats_reset, w.stats_reset, a.stats_reset)),
       d.xact_commit, d.xact_rollback, d.blks_hit, d.blks_read, d.deadlocks, d.checksum_failures
from pg_catalog.pg_stat_database as d
cross join pg_catalog.pg_stat_bgwriter as b
cross join pg_catalog.pg_stat_wal as w
cross join pg_catalog.pg_stat_archiver as a
cross join pg_catalog.pg_control_system() as s
where d.datname = pg_catalog.current_database()

-- name: data_folder
-- Where the data is; NULL where this role is not told.
select pg_catalog.current_setting('data_directory', true)
where pg_catalog.pg_has_role('pg_read_all_settings', 'usage')

-- name: blocking_tree
-- Who waits for whom, each below the last one it waits for; roots wait for nobody.
with recursive waiting as materialized (
  select l.pid, pg_catalog.pg_blocking_pids(l.pid) as holders, pg_catalog.min(l.waitstart) as since,
         pg_catalog.min(l.mode) as mode, pg_catalog.min(case l.locktype
           when 'relation' then coalesce(pg_catalog.format('%%I.%%I', n.nspname, c.relname), l.relation::text)
           else l.locktype end) as object
  from pg_catalog.pg_locks as l
  left join pg_catalog.pg_class as c on c.oid = l.relation
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where not l.granted group by l.pid
), edge as materialized (
  select w.pid, h.pid as holder from waiting as w cross join lateral pg_catalog.unnest(w.holders) as h (pid)
), tree as (
  select distinct e.holder as root, 0 as depth, e.holder as pid, array[e.holder] as way
  from edge as e where not exists (select from edge as x where x.pid = e.holder)
  union all
  select t.root, t.depth + 1, e.pid, t.way || e.pid from tree as t join edge as e on e.holder = t.pid
  where e.pid <> all (t.way) and t.depth < 50
), once as (
  select distinct on (t.root, t.pid) t.* from tree as t order by t.root, t.pid, t.depth desc
)
select t.depth, t.pid, coalesce(a.usename, '')::text, coalesce(a.application_name, ''), coalesce(a.state, 'prepared'),
       extract(epoch from pg_catalog.clock_timestamp() - w.since)::double precision, w.mode, w.object
from once as t
left join waiting as w on w.pid = t.pid
left join pg_catalog.pg_stat_activity as a on a.pid = t.pid
order by t.root, t.way
limit 200
