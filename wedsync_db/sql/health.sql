-- The health checks: each names what it is about, what was observed in the check's unit, and a line of evidence for people,
-- never a row's value and no text of a query. NULL observed: it cannot be known. No row: there is nothing of the kind. A
-- fourth column says how bad it is at least, whatever was observed: 'degraded', 'unhealthy'; or 'not asked', where there is
-- nothing to ask.

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
       case when b.blocks then 'unhealthy' end
from pg_catalog.pg_stat_activity as a
cross join lateral (
  select exists (select from pg_catalog.pg_stat_activity as w
                 where w.wait_event_type = 'Lock' and a.pid = any (pg_catalog.pg_blocking_pids(w.pid))) as blocks) as b
where a.state like 'idle in transaction%%' and a.pid <> pg_catalog.pg_backend_pid()
order by 2 desc limit 20

-- name: oldest_snapshot
-- Whoever has an old snapshot keeps every dead row of the server from being removed: a session, a standby that feeds back, a
-- slot. Of the last two nobody knows since when, only how many transactions ago.
(select pg_catalog.format('pid %%s', a.pid), extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::double precision,
        pg_catalog.format('pid %%s (%%s, user %%s) has been in a transaction since %%s', a.pid,
          coalesce(nullif(a.application_name, ''), 'no application name'), a.usename,
          pg_catalog.to_char(a.xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
 from pg_catalog.pg_stat_activity as a
 where (a.backend_xmin is not null or a.backend_xid is not null) and a.pid <> pg_catalog.pg_backend_pid()
   and a.backend_type = 'client backend'
 order by 2 desc nulls last limit 5)
union all
select h.who, null, pg_catalog.format('%%s keeps what was deleted in the last %%s transactions', h.who, h.age)
from (
  select pg_catalog.format('slot %%s', s.slot_name), greatest(pg_catalog.age(s.xmin), pg_catalog.age(s.catalog_xmin))
  from pg_catalog.pg_replication_slots as s
  union all
  select pg_catalog.format('standby %%s', coalesce(nullif(r.application_name, ''), r.pid::text)), pg_catalog.age(r.backend_xmin)
  from pg_catalog.pg_stat_replication as r
) as h (who, age)
where h.age > 1000000

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
       pg_catalog.format('%%s for %%s', case r.blocked when 1 then '1 session waits' else r.blocked || ' sessions wait' end,
         case when r.holder = 0 then 'a prepared transaction'
              else pg_catalog.format('pid %%s (%%s, user %%s, %%s)', r.holder,
                     coalesce(nullif(a.application_name, ''), 'no application name'), a.usename,
                     coalesce(a.state, 'state not shown')) end),
       case when r.blocked >= 5 then 'unhealthy' end
from root as r left join pg_catalog.pg_stat_activity as a on a.pid = r.holder
order by 2 desc limit 20

-- name: replica_lag
-- On a replica equal positions mean nothing when the primary is gone: the receiver has to stream and to have heard lately.
-- On a primary a replica that is behind has to have answered lately. Its clock is not ours, so that counts only then.
select coalesce(nullif(r.application_name, ''), 'pid ' || r.pid),
       case when r.replay_lsn = here.lsn then 0
            when r.reply_time > pg_catalog.clock_timestamp() - interval '1 minute'
              then coalesce(extract(epoch from r.replay_lag), 0) end::double precision,
       pg_catalog.format('replica %%s is %%s', coalesce(nullif(r.application_name, ''), r.pid::text),
         coalesce(r.state, 'not shown to this role: grant pg_read_all_stats')),
       case when r.state <> 'streaming' then 'degraded' end
from pg_catalog.pg_stat_replication as r
cross join (select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
                        else pg_catalog.pg_current_wal_lsn() end) as here (lsn)
where r.state is distinct from 'backup'
union all
select 'receiver',
       case when heard.lately and pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() then 0
            when heard.lately
              then extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())
       end::double precision,
       case when archive.alone then 'it restores from an archive: nobody says how far it is behind'
            when w.pid is null then 'this replica receives nothing: its primary is gone, or does not let it in'
            when w.status is null then 'what it receives is not shown to this role: grant pg_read_all_stats'
            when not heard.lately then pg_catalog.format('the receiver is %%s and last heard of its primary at %%s', w.status,
              pg_catalog.to_char(w.last_msg_receipt_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
            else pg_catalog.format('the receiver is %%s', w.status) end
         || case when pg_catalog.pg_is_wal_replay_paused() then '; replay is paused' else '' end
         || coalesce('; the last commit it has is of ' || pg_catalog.to_char(
              pg_catalog.pg_last_xact_replay_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), ''),
       case when not archive.alone and (w.pid is null or not heard.lately) then 'degraded' end
from (select) as one
left join pg_catalog.pg_stat_wal_receiver as w on true
cross join lateral (
  select w.status = 'streaming' and w.last_msg_receipt_time > pg_catalog.clock_timestamp()
           - greatest(interval '1 minute', pg_catalog.current_setting('wal_receiver_timeout')::interval)) as heard (lately)
cross join lateral (
  select w.pid is null and exists (select from pg_catalog.pg_settings as g
                                   where g.name = 'primary_conninfo' and g.setting = '')) as archive (alone)
where pg_catalog.pg_is_in_recovery()

-- name: replication_slot
-- An unused slot keeps WAL until the disk is full. Since when is written down from 17 on: before, nobody knows. Half of what
-- is free is too much, however short it is unused.
select s.slot_name::text, {inactive}, pg_catalog.format('slot %%s is unused%%s and keeps %%s of WAL (%%s)', s.slot_name,
         case when {inactive} is null then ', nobody knows for how long,' else '' end,
         coalesce(pg_catalog.pg_size_pretty(kept.bytes), 'nothing'), coalesce(s.wal_status, 'no WAL status')),
       case when s.wal_status in ('unreserved', 'lost') or kept.bytes > %(free_bytes)s::bigint / 2 then 'unhealthy' end
from pg_catalog.pg_replication_slots as s
cross join lateral (
  select pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
                                         else pg_catalog.pg_current_wal_lsn() end, s.restart_lsn)) as kept (bytes)
where not s.active and not s.temporary

-- name: wraparound
-- At two billion the server stops taking writes; multixacts wrap apart.
select d.datname::text, greatest(pg_catalog.age(d.datfrozenxid), pg_catalog.mxid_age(d.datminmxid))::double precision,
       pg_catalog.format('database %%s: %%s transactions and %%s multixacts since all of it was frozen', d.datname,
         pg_catalog.age(d.datfrozenxid), pg_catalog.mxid_age(d.datminmxid))
from pg_catalog.pg_database as d where d.datallowconn order by 2 desc limit 3

-- name: archiver
-- Since when the oldest finished file of WAL has been waiting. A command that fails is told at once, one that hangs after five
-- minutes; off is nothing to be ill of, but no backup by WAL either.
select '', case when here.off or waiting.files = 0 then 0
                when a.last_failed_time > coalesce(a.last_archived_time, '-infinity') or waiting.seconds > 300
                  then waiting.seconds else 0 end::double precision,
       case here.off when true then here.why
            else pg_catalog.format('%%s files of WAL wait; last archived %%s, last failed %%s', waiting.files,
                   coalesce(a.last_archived_wal, 'nothing'), coalesce(a.last_failed_wal, 'nothing')) end,
       case when not here.off and waiting.files > 100 then 'unhealthy' end
from pg_catalog.pg_stat_archiver as a
cross join lateral (
  select pg_catalog.current_setting('archive_mode') = 'off'
           or pg_catalog.pg_is_in_recovery() and pg_catalog.current_setting('archive_mode') = 'on',
         case pg_catalog.current_setting('archive_mode') when 'off' then 'archiving is off' else 'its primary archives' end
) as here (off, why)
cross join lateral (
  select pg_catalog.count(*), greatest(extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.min(f.modification)), 0)
  from pg_catalog.pg_ls_archive_statusdir() as f where f.name like '%%.ready'
) as waiting (files, seconds)

-- name: archiver_counted
-- The same for a role that may not list files: the last success is the best that is known.
select '', case when here.off then 0
                when a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
                  then extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.last_archived_time, a.stats_reset))
                else 0 end::double precision,
       case here.off when true then here.why
            else pg_catalog.format('last archived %%s, last failed %%s', coalesce(a.last_archived_wal, 'nothing'),
                   coalesce(a.last_failed_wal, 'nothing')) end
from pg_catalog.pg_stat_archiver as a
cross join lateral (
  select pg_catalog.current_setting('archive_mode') = 'off'
           or pg_catalog.pg_is_in_recovery() and pg_catalog.current_setting('archive_mode') = 'on',
         case pg_catalog.current_setting('archive_mode') when 'off' then 'archiving is off' else 'its primary archives' end
) as here (off, why)

-- name: keys
-- Keys that can run out: a column ends before its sequence does, an int4 key with a bigint sequence, its own or one that its
-- default asks. A bigint lasts for ever and is not read.
with used as (
  select d.objid as sequence, d.refobjid as relation, d.refobjsubid as place from pg_catalog.pg_depend as d
  where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.deptype in ('a', 'i') and d.refobjsubid > 0
  union
  select d.refobjid, f.adrelid, f.adnum from pg_catalog.pg_depend as d join pg_catalog.pg_attrdef as f on f.oid = d.objid
  where d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
), key as materialized (
  select p.seqrelid, c.relname, n.nspname, a.attname, coalesce(a.atttypid, p.seqtypid) as type,
         least(p.seqmax, case a.atttypid when 'pg_catalog.int2'::pg_catalog.regtype then 32767
                                         when 'pg_catalog.int4'::pg_catalog.regtype then 2147483647
                                         else p.seqmax end) as largest
  from pg_catalog.pg_sequence as p
  left join used as u on u.sequence = p.seqrelid
  left join pg_catalog.pg_class as c on c.oid = u.relation and c.relkind in ('r', 'p', 'f')
  left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  left join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = u.place
  where p.seqincrement > 0 and not p.seqcycle
)
select k.seqrelid::bigint, case when k.attname is not null then pg_catalog.format('%%I.%%I.%%I', k.nspname, k.relname, k.attname)
                                else pg_catalog.format('%%I.%%I', s.nspname, q.relname) end,
       pg_catalog.format_type(k.type, null), k.largest::double precision
from key as k
join pg_catalog.pg_class as q on q.oid = k.seqrelid and q.relpersistence = 'p'
join pg_catalog.pg_namespace as s on s.oid = q.relnamespace
where k.largest < 9223372036854775807 order by k.seqrelid, 2

-- name: last_values
-- Of these sequences, in their order; NULL where this role may not read one, and 0 where it was never used.
select case when pg_catalog.has_sequence_privilege(o.oid, 'select, usage')
            then coalesce(pg_catalog.pg_sequence_last_value(o.oid), 0) end
from pg_catalog.unnest(%(sequences)s::oid[]) with ordinality as o (oid, place) order by o.place

-- name: table_bloat
-- Of large tables the share that holds no row: dead ones by the counters, and what is empty by the width that ANALYZE found,
-- columns that are stored elsewhere not counted. An estimate that costs nothing and blocks nobody.
with large as (
  select c.oid, n.nspname, c.relname, c.relpages, greatest(c.reltuples, 0) as rows, size.block,
         pg_catalog.pg_stat_get_dead_tuples(c.oid) as dead,
         pg_catalog.pg_stat_get_dead_tuples(c.oid) + pg_catalog.pg_stat_get_live_tuples(c.oid) as counted,
         coalesce((select o.option_value::double precision from pg_catalog.pg_options_to_table(c.reloptions) as o
                   where o.option_name = 'fillfactor'), 100) / 100 as filled,
         (select pg_catalog.count(*) from pg_catalog.pg_attribute as a
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
  from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  cross join (select pg_catalog.current_setting('block_size')::double precision) as size (block)
  where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and c.relpages * size.block > %(least_bytes)s and not pg_catalog.pg_is_in_recovery()
), known as (
  select l.*, w.columns = l.columns and l.rows > 0 as has_width,
         pg_catalog.ceil((23 + case when w.nulls > 0 then pg_catalog.ceil(l.columns / 8.0) else 0 end) / 8.0) * 8
           + pg_catalog.ceil(w.width / 8.0) * 8 + 4 as width
  from large as l
  cross join lateral (
    select pg_catalog.count(*), pg_catalog.sum((1 - s.null_frac) * s.avg_width), pg_catalog.max(s.null_frac)
    from pg_catalog.pg_stats as s where s.schemaname = l.nspname and s.tablename = l.relname and not s.inherited
  ) as w (columns, width, nulls)
), judged as (
  select k.*, case when k.counted >= k.rows / 2 then k.dead / nullif(k.counted, 0)::double precision end as of_dead,
         case when k.has_width
              then greatest(1 - k.rows * k.width / ((k.block - 24) * k.filled) / k.relpages, 0) end as of_space
  from known as k
)
select pg_catalog.format('%%I.%%I', j.nspname, j.relname),
       -- few dead rows say nothing of what earlier ones left empty
       case when j.of_space is not null or j.of_dead > 0.5 then greatest(j.of_dead, j.of_space) end,
       pg_catalog.format('%%I.%%I of %%s: %%s dead of %%s rows; %%s', j.nspname, j.relname,
         pg_catalog.pg_size_pretty((j.relpages * j.block)::bigint),
         case when j.of_dead is null then 'not known how many' else j.dead::text end,
         j.rows::bigint, case when j.of_space is null then 'how wide its rows are is not known: analyze it, or grant select on it to this role'
                              else pg_catalog.format('about %%s of it without a row', pg_catalog.pg_size_pretty(
                                     (j.relpages * j.block * j.of_space)::bigint)) end),
       null
from judged as j
union all
select '', null, 'a replica has no counters of dead rows: ask its primary', 'not asked' where pg_catalog.pg_is_in_recovery()
order by 2 desc nulls last limit 10

-- name: autovacuum
-- Dead rows as a multiple of what starts autovacuum for this table, its own settings included; only what has been so for
-- long enough to matter: small tables come and go. Counters that began anew, after a crash, do not know the rows of before.
with known as materialized (
  select c.oid, n.nspname, c.relname, greatest(c.reltuples, 0) as rows,
         coalesce(pg_catalog.pg_stat_get_dead_tuples(c.oid), 0) as dead,
         coalesce(pg_catalog.pg_stat_get_live_tuples(c.oid), 0) as live, c.reloptions
  from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence <> 't'
)
(select pg_catalog.format('%%I.%%I', k.nspname, k.relname),
        (k.dead / greatest(least(limits.threshold + limits.scale * k.rows, nullif(limits.most, -1)), 1))::double precision,
        pg_catalog.format('%%I.%%I: %%s dead rows, autovacuum %%s', k.nspname, k.relname, k.dead,
          case when not limits.enabled then 'is off for it'
               when pg_catalog.current_setting('autovacuum') = 'off' then 'is off' else 'is behind' end),
        null
 from known as k
 cross join lateral (
   select coalesce((pg_catalog.max(o.option_value) filter (where o.option_name = 'autovacuum_vacuum_threshold'))::float8,
                   pg_catalog.current_setting('autovacuum_vacuum_threshold')::float8) as threshold,
          coalesce((pg_catalog.max(o.option_value) filter (where o.option_name = 'autovacuum_vacuum_scale_factor'))::float8,
                   pg_catalog.current_setting('autovacuum_vacuum_scale_factor')::float8) as scale,
          coalesce((pg_catalog.max(o.option_value) filter (where o.option_name = 'autovacuum_vacuum_max_threshold'))::float8,
                   pg_catalog.current_setting('autovacuum_vacuum_max_threshold', true)::float8) as most,  -- from 18 on
          coalesce((pg_catalog.max(o.option_value) filter (where o.option_name = 'autovacuum_enabled'))::boolean, true) as enabled
   from pg_catalog.pg_options_to_table(k.reloptions) as o) as limits
 where k.dead > 1000 and not pg_catalog.pg_is_in_recovery()
 order by 2 desc limit 10)
union all
select 'counters', null, pg_catalog.format('%%s tables have counters that began anew, after a crash perhaps: how many of their rows'
         ' are dead is not known before they are vacuumed or analyzed (%%s)', pg_catalog.count(*),
         pg_catalog.string_agg(k.name, ', ' order by k.name) filter (where k.place <= 5)), null
from (select pg_catalog.format('%%I.%%I', l.nspname, l.relname) as name,
             pg_catalog.row_number() over (order by l.nspname, l.relname) as place
      from known as l where l.rows > 10000 and l.live + l.dead < l.rows / 2) as k
where not pg_catalog.pg_is_in_recovery() having pg_catalog.count(*) > 0
union all
select '', null, 'a replica has no counters of dead rows: ask its primary', 'not asked' where pg_catalog.pg_is_in_recovery()

-- name: stale_statistics
-- Nobody analyzed it ever, with rows in it; or a parent, which autovacuum never analyzes, not for a week. Where the counters
-- began anew the size says that there are rows, unless somebody changes the table: size waits for him.
with changed as materialized (
  select l.relation from pg_catalog.pg_locks as l where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
)
select '', pg_catalog.count(*)::double precision,
       coalesce(pg_catalog.string_agg(pg_catalog.format('%%I.%%I', x.nspname, x.relname), ', ' order by x.nspname, x.relname)
         filter (where x.place <= 5), 'none') || case when pg_catalog.count(*) > 5 then ', …' else '' end, null
from (
  select n.nspname, c.relname, pg_catalog.row_number() over (order by n.nspname, c.relname) as place
  from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  cross join lateral (select greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid),
                                      pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)) as at) as analyzed
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence = 'p'
    and not pg_catalog.pg_is_in_recovery()
    and (c.relkind in ('r', 'm') and c.reltuples < 0
           and case when pg_catalog.pg_stat_get_tuples_inserted(c.oid) > 0
                    then pg_catalog.pg_stat_get_live_tuples(c.oid) > 10000
                    when c.oid in (select w.relation from changed as w) then false
                    else pg_catalog.pg_relation_size(c.oid) > 1048576 end
         or c.relkind = 'p' and (c.reltuples < 0 or analyzed.at < pg_catalog.now() - interval '7 days')
            and (select pg_catalog.sum(greatest(pg_catalog.pg_stat_get_live_tuples(i.inhrelid), p.reltuples))
                 from pg_catalog.pg_inherits as i join pg_catalog.pg_class as p on p.oid = i.inhrelid
                 where i.inhparent = c.oid) > 10000)
) as x
where not pg_catalog.pg_is_in_recovery()
having not pg_catalog.pg_is_in_recovery()
union all
select '', null, 'a replica has no counters of its own: ask its primary', 'not asked' where pg_catalog.pg_is_in_recovery()

-- name: invalid_index
-- Left by an interrupted CONCURRENTLY: it costs every write and serves no query. One that is being built is none; a replica
-- does not see whether it is.
select pg_catalog.format('%%I.%%I', n.nspname, c.relname),
       case when not pg_catalog.pg_is_in_recovery() then 1 end::double precision,
       pg_catalog.format('index %%I.%%I of table %%I is not valid: %%s', n.nspname, c.relname, t.relname,
         case when pg_catalog.pg_is_in_recovery() then 'left by an interrupted build, or its primary is building it'
              when c.relname ~ '_cc(new|old)[0-9]*$' then 'left by an interrupted REINDEX CONCURRENTLY'
              else 'left by an interrupted CREATE INDEX CONCURRENTLY' end)
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid and c.relkind = 'i'
join pg_catalog.pg_class as t on t.oid = i.indrelid
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
select t.depth, t.pid, coalesce(a.usename, '')::text, coalesce(a.application_name, ''), case when t.pid = 0 then '' else coalesce(a.state, 'state not shown') end,
       extract(epoch from pg_catalog.clock_timestamp() - w.since)::double precision, w.mode, w.object
from once as t
left join waiting as w on w.pid = t.pid
left join pg_catalog.pg_stat_activity as a on a.pid = t.pid
order by t.root, t.way
limit 200
