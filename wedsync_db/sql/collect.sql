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

-- name: deployment
-- When the newest deployment of this very database ended, for the marks on every plot; rows of a restored copy do not count.
select extract(epoch from pg_catalog.max(d.finished_at))::double precision from wedsync_db.deployment as d
where d.database_oid = (select b.oid from pg_catalog.pg_database as b where b.datname = pg_catalog.current_database())

-- name: tables
-- Counters of the tables that did anything since the look before, those that did most first: what is left over comes the
-- next time. By the counters of the tables alone, as views and sizes read each index or wait for locks. Partitions count
-- with their root: a name for each month would be a series for each month. The last row is for the next look: which table
-- had done how much, as two arrays; a table that was left over has what it had before.
with leaf as materialized (
  select c.oid, case when c.relispartition then pg_catalog.pg_partition_root(c.oid)::oid else c.oid end as root,
         (pg_catalog.pg_stat_get_numscans(c.oid) + pg_catalog.pg_stat_get_tuples_fetched(c.oid)
          + pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid)
          + pg_catalog.pg_stat_get_tuples_deleted(c.oid) + pg_catalog.pg_stat_get_vacuum_count(c.oid)
          + pg_catalog.pg_stat_get_autovacuum_count(c.oid) + pg_catalog.pg_stat_get_analyze_count(c.oid)
          + pg_catalog.pg_stat_get_autoanalyze_count(c.oid)) as moves
  from pg_catalog.pg_class as c
  where c.relkind in ('r', 'm') and c.relpersistence <> 't' and c.relnamespace <> all (array(
    select n.oid from pg_catalog.pg_namespace as n where n.nspname ~ '^pg_' or n.nspname = 'information_schema'))
), known as (
  select * from rows from (
    pg_catalog.unnest(pg_catalog.split_part(%(before)s, ' ', 1)::oid[]),
    pg_catalog.unnest(pg_catalog.split_part(%(before)s, ' ', 2)::bigint[])) as k (oid, moves)
), compared as materialized (
  select l.*, coalesce(k.moves, 0) as before from leaf as l left join known as k on k.oid = l.oid
), moved as materialized (
  select c.root from compared as c where c.moves <> c.before
  group by c.root order by pg_catalog.sum(c.moves - c.before) desc, c.root limit 500
), counted as (
  select m.root, pg_catalog.sum(pg_catalog.pg_stat_get_numscans(c.oid))::float8 as scans,
         pg_catalog.sum(pg_catalog.pg_stat_get_tuples_returned(c.oid))::float8 as read,
         coalesce(pg_catalog.sum((select pg_catalog.sum(pg_catalog.pg_stat_get_numscans(i.indexrelid))
                                  from pg_catalog.pg_index as i where i.indrelid = c.oid)), 0)::float8 as index_scans,
         pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(c.oid))::float8 as fetched,
         pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(c.oid))::float8 as inserted,
         pg_catalog.sum(pg_catalog.pg_stat_get_tuples_updated(c.oid))::float8 as updated,
         pg_catalog.sum(pg_catalog.pg_stat_get_tuples_deleted(c.oid))::float8 as deleted,
         pg_catalog.sum(pg_catalog.pg_stat_get_tuples_hot_updated(c.oid))::float8 as in_place,
         pg_catalog.sum(pg_catalog.pg_stat_get_live_tuples(c.oid))::float8 as live,
         pg_catalog.sum(pg_catalog.pg_stat_get_dead_tuples(c.oid))::float8 as dead,
         pg_catalog.sum(pg_catalog.pg_stat_get_vacuum_count(c.oid)
                        + pg_catalog.pg_stat_get_autovacuum_count(c.oid))::float8 as vacuums,
         pg_catalog.sum(pg_catalog.pg_stat_get_analyze_count(c.oid)
                        + pg_catalog.pg_stat_get_autoanalyze_count(c.oid))::float8 as analyzes
  from moved as m join compared as c on c.root = m.root group by m.root
)
select pg_catalog.format('%%I.%%I', n.nspname, r.relname), c.scans, c.read, c.index_scans, c.fetched, c.inserted, c.updated,
       c.deleted, c.in_place, c.live, c.dead, c.vacuums, c.analyzes
from counted as c
join pg_catalog.pg_class as r on r.oid = c.root join pg_catalog.pg_namespace as n on n.oid = r.relnamespace
union all
select pg_catalog.concat_ws(' ', pg_catalog.array_agg(c.oid)::text, pg_catalog.array_agg(
         case when m.root is null then c.before else c.moves end)::text),
       null, null, null, null, null, null, null, null, null, null, null, null
from compared as c left join moved as m on m.root = c.root

-- name: database_size
-- Of the files; takes no lock on any table.
select pg_catalog.pg_database_size(pg_catalog.current_database())::double precision

-- name: table_sizes
-- The largest tables by pages, partitions with their root; asked exactly only where nobody holds or waits for the lock that
-- would make this wait too.
with changed as (
  select l.relation from pg_catalog.pg_locks as l
  where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
), part as materialized (
  select c.oid, c.reltoastrelid, c.relpages, case when c.relispartition then (
           select pg_catalog.format('%%I.%%I', m.nspname, r.relname)
           from pg_catalog.pg_class as r join pg_catalog.pg_namespace as m on m.oid = r.relnamespace
           where r.oid = pg_catalog.pg_partition_root(c.oid))
         else pg_catalog.format('%%I.%%I', n.nspname, c.relname) end as name
  from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
), large as materialized (
  select p.name from part as p group by p.name order by pg_catalog.sum(p.relpages) desc, p.name limit 200
), measured as (
  select l.name, asked.exactly, case when asked.exactly then pg_catalog.pg_total_relation_size(p.oid) else (
           select p.relpages::bigint + coalesce(pg_catalog.sum(x.relpages), 0) from pg_catalog.pg_class as x
           where x.oid = p.reltoastrelid
              or x.oid in (select i.indexrelid from pg_catalog.pg_index as i where i.indrelid in (p.oid, p.reltoastrelid))
         ) * pg_catalog.current_setting('block_size')::bigint end as bytes
  from large as l join part as p on p.name = l.name
  cross join lateral (
    select %(exactly)s and not exists (
      select from changed as b where b.relation in (p.oid, p.reltoastrelid) or exists (
        select from pg_catalog.pg_index as i where i.indexrelid = b.relation and i.indrelid in (p.oid, p.reltoastrelid))
    ) as exactly) as asked
)
select m.name, case when pg_catalog.bool_and(m.exactly) then pg_catalog.sum(m.bytes) end::double precision,
       case when not pg_catalog.bool_and(m.exactly) then pg_catalog.sum(m.bytes) end::double precision
from measured as m group by m.name

-- name: keys
-- How much of its range each key has used, the fullest first; a column may end before its sequence does. NULL: this role may
-- not read it.
select * from (
  select pg_catalog.format('%%I.%%I.%%I', n.nspname, c.relname, a.attname),
         case when pg_catalog.has_sequence_privilege(q.seqrelid, 'select, usage')
              then coalesce(pg_catalog.pg_sequence_last_value(q.seqrelid), 0)
                / least(q.seqmax, case a.atttypid when 'pg_catalog.int2'::pg_catalog.regtype then 32767
                                                  when 'pg_catalog.int4'::pg_catalog.regtype then 2147483647
                                                  else 9223372036854775807 end)::double precision end
  from pg_catalog.pg_sequence as q
  join pg_catalog.pg_depend as d on d.objid = q.seqrelid and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
  join pg_catalog.pg_class as c on c.oid = d.refobjid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = d.refobjsubid
  where q.seqincrement > 0 and not q.seqcycle and n.nspname not in ('wedsync_db')
  order by 2 desc nulls last, 1 limit 200
) as fullest (name, used) order by 1

-- name: bloat
-- What a rewrite of the largest tables would give back: pages as of the last vacuum or analyze, less those that its rows need,
-- by their average width. A row is a header of 23 bytes (and a bit for each column where any is NULL), its columns, and 4 for
-- its place in the page's list; a page has 24 bytes of its own. Where a column begins depends on its type and on what stands
-- before it: behind one whose width varies it loses half of its alignment on average, as the end of a row does. TOAST is not
-- in it. A table with a column of which there are no statistics, for this role at least, is unknown.
with part as materialized (
  select c.oid, c.relname, n.nspname, c.relnatts, c.reltuples, c.relpages, case when c.relispartition then (
           select pg_catalog.format('%%I.%%I', m.nspname, r.relname)
           from pg_catalog.pg_class as r join pg_catalog.pg_namespace as m on m.oid = r.relnamespace
           where r.oid = pg_catalog.pg_partition_root(c.oid))
         else pg_catalog.format('%%I.%%I', n.nspname, c.relname) end as name,
         coalesce((select o.option_value::double precision from pg_catalog.pg_options_to_table(c.reloptions) as o
                   where o.option_name = 'fillfactor'), 100) / 100 as filled
  from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.relpages > 0
), large as materialized (
  select p.name from part as p group by p.name having pg_catalog.sum(p.relpages) >= 128
  order by pg_catalog.sum(p.relpages) desc, p.name limit 200
), block as (
  select pg_catalog.current_setting('block_size')::double precision as size
), estimated as (
  select p.name, p.relpages, case when w.known = w.columns and p.reltuples >= 0
           -- half a row does not fit at the end of a page
           then pg_catalog.ceil(p.reltuples * r.width / ((b.size - 24) * p.filled - r.width / 2)) end as needed
  from large as l join part as p on p.name = l.name cross join block as b
  cross join lateral (
    select pg_catalog.count(*) as columns, pg_catalog.count(s.attname) as known, pg_catalog.bool_or(s.null_frac > 0) as nulls,
           coalesce(pg_catalog.sum((1 - s.null_frac) * (s.avg_width + case
             when a.attlen < 0 then case when s.avg_width > 126 then (a.align - 1) / 2.0 else 0 end
             when a.varied then (a.align - 1) / 2.0
             else (a.align - a.before %% a.align) %% a.align end) + case
             when not a.is_last then 0 when a.varies then 3.5 else (8 - a.behind %% 8) %% 8 end), 0)::double precision as width
    from (
      select c.attname, c.attlen, c.align, c.behind, c.varies, coalesce(pg_catalog.lag(c.behind) over w, 0) as before,
             coalesce(pg_catalog.lag(c.varies) over w, false) as varied, pg_catalog.lead(c.attnum) over w is null as is_last
      from (  -- from the last column on that begins at a multiple of 8
        select t.attname, t.attnum, t.attlen, t.align,
               pg_catalog.sum(greatest(t.attlen, 0)) over (partition by t.place order by t.attnum) as behind,
               pg_catalog.bool_or(t.attlen < 0) over (partition by t.place order by t.attnum) as varies
        from (
          select o.attname, o.attnum, o.attlen,
                 case o.attalign when 'd' then 8 when 'i' then 4 when 's' then 2 else 1 end as align,
                 pg_catalog.count(*) filter (where o.attalign = 'd' and o.attlen > 0) over (order by o.attnum) as place
          from pg_catalog.pg_attribute as o where o.attrelid = p.oid and o.attnum > 0 and not o.attisdropped) as t
      ) as c
      window w as (order by c.attnum)
    ) as a
    left join pg_catalog.pg_stats as s
      on s.schemaname = p.nspname and s.tablename = p.relname and s.attname = a.attname and not s.inherited) as w
  cross join lateral (select least(
      4 + pg_catalog.ceil((23 + case when w.nulls then pg_catalog.ceil(p.relnatts / 8.0) else 0 end) / 8.0) * 8
        + w.width, b.size / 4) as width) as r
)
select e.name, case when pg_catalog.count(*) = pg_catalog.count(e.needed)
                    then pg_catalog.sum(greatest(e.relpages - e.needed, 0)) * b.size end::double precision,
       case when pg_catalog.count(*) = pg_catalog.count(e.needed)
            then pg_catalog.sum(greatest(e.relpages - e.needed, 0)) / pg_catalog.sum(e.relpages) end::double precision
from estimated as e cross join block as b group by e.name, b.size

-- name: unused_indexes
-- Bytes of the indexes that a night's report calls unused; unknown while the counters are too young to say.
select case when coalesce(pg_catalog.bool_and(u.certain), true)
            then coalesce(pg_catalog.sum(x.pages), 0) * pg_catalog.current_setting('block_size')::bigint end::double precision
from ({unused}) as u (name, certain)
cross join lateral (
  with recursive tree (oid) as (
    select pg_catalog.to_regclass(u.name)::oid
    union all
    select h.inhrelid from tree as t join pg_catalog.pg_inherits as h on h.inhparent = t.oid
  )
  select pg_catalog.sum(c.relpages) as pages from tree as t join pg_catalog.pg_class as c on c.oid = t.oid) as x

-- name: duplicate_indexes
-- Bytes of what is there twice: the same columns, order, operators, expressions and condition. The largest of them is needed.
select coalesce(pg_catalog.sum(g.pages), 0) * pg_catalog.current_setting('block_size')::bigint::double precision
from (
  select pg_catalog.sum(x.relpages) - pg_catalog.max(x.relpages) as pages
  from pg_catalog.pg_index as i
  join pg_catalog.pg_class as x on x.oid = i.indexrelid
  join pg_catalog.pg_namespace as n on n.oid = x.relnamespace
  where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'wedsync_db') and i.indisvalid
    and not i.indisexclusion
  group by i.indrelid, x.relam, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
           i.indexprs::text, i.indpred::text
  having pg_catalog.count(*) > 1) as g
