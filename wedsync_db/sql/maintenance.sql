-- Nightly maintenance: what needs work, what the server counts, and who is in the way. Names come out quoted, schema first.

-- name: candidates
-- As ops.get_maintenance_candidates says it, on a database that has no such function. Debts are multiples of what starts
-- autovacuum, the table's own settings included; TOAST counts with its table. Somebody who holds the lock that VACUUM
-- takes is at work on it, also where his progress is hidden from us.
with usual as materialized (
  select s.name, s.setting::double precision as value from pg_catalog.pg_settings as s
  where s.name ~ '^autovacuum_(vacuum|analyze)_.*(threshold|scale_factor)$' or s.name ~ '^autovacuum_.*freeze_max_age$'
), being as materialized (
  select p.relid from pg_catalog.pg_stat_progress_vacuum as p where p.relid is not null
  union select p.relid from pg_catalog.pg_stat_progress_analyze as p where p.relid is not null
  union select l.relation from pg_catalog.pg_locks as l
  where l.locktype = 'relation' and l.granted and l.pid <> pg_catalog.pg_backend_pid()
    and l.mode = 'ShareUpdateExclusiveLock'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
), known as (
  select c.oid, n.nspname, c.relname, c.relkind, c.relpages, c.reltoastrelid, greatest(c.reltuples, 0) as tuples,
         c.reltuples < 0 as never_counted, coalesce(t.relpages, 0) as toast_pages,
         greatest(pg_catalog.age(c.relfrozenxid), pg_catalog.age(t.relfrozenxid))::bigint as xids,
         greatest(pg_catalog.mxid_age(c.relminmxid), pg_catalog.mxid_age(t.relminmxid))::bigint as mxids,
         coalesce(pg_catalog.pg_stat_get_dead_tuples(c.oid), 0) as dead,
         coalesce(pg_catalog.pg_stat_get_ins_since_vacuum(c.oid), 0) as inserted,
         coalesce(pg_catalog.pg_stat_get_mod_since_analyze(c.oid), 0) as modified,
         greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid),
                  pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)) as analyzed,
         (select coalesce(pg_catalog.jsonb_object_agg(u.name,
                   coalesce((o.own ->> u.name)::double precision, u.value)), '{}') from usual as u) as v
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  left join pg_catalog.pg_class as t on t.oid = c.reltoastrelid
  cross join lateral (select coalesce(pg_catalog.jsonb_object_agg(x.option_name, x.option_value), '{}') as own
                      from pg_catalog.pg_options_to_table(c.reloptions) as x) as o
  where c.relkind in ('r', 'm', 'p') and c.relpersistence = 'p' and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_'
), debt as (
  select k.*,
         k.dead / nullif(least((v ->> 'autovacuum_vacuum_threshold')::float8
                                 + (v ->> 'autovacuum_vacuum_scale_factor')::float8 * k.tuples,
                               nullif((v ->> 'autovacuum_vacuum_max_threshold')::float8, -1)), 0) as vacuum_debt,  -- 18
         case when (v ->> 'autovacuum_vacuum_insert_threshold')::float8 >= 0
              then k.inserted / nullif((v ->> 'autovacuum_vacuum_insert_threshold')::float8
                                 + (v ->> 'autovacuum_vacuum_insert_scale_factor')::float8 * k.tuples, 0) end as insert_debt,
         k.modified / nullif((v ->> 'autovacuum_analyze_threshold')::float8
                                 + (v ->> 'autovacuum_analyze_scale_factor')::float8 * k.tuples, 0) as analyze_debt,
         greatest(k.xids / nullif((v ->> 'autovacuum_freeze_max_age')::float8, 0),
                  k.mxids / nullif((v ->> 'autovacuum_multixact_freeze_max_age')::float8, 0)) as frozen
  from known as k
), judged as (
  select d.*,
         case when d.relkind <> 'p' and d.frozen >= %(freeze_ratio)s then 'freeze'
              when d.relkind <> 'p' and (d.vacuum_debt >= 1 or d.insert_debt >= 1) then 'vacuum'
              when d.relkind <> 'p' and (d.analyze_debt >= 1 or d.never_counted and (d.relpages > 0 or d.modified > 0))
                then 'analyze'
              -- autovacuum never looks at a parent
              when d.relkind = 'p'
                and (d.analyzed is null or d.analyzed < pg_catalog.now() - interval '7 days')
                and exists (select from pg_catalog.pg_inherits as i where i.inhparent = d.oid) then 'analyze'
         end as action
  from debt as d
)
select j.oid::bigint, pg_catalog.quote_ident(j.nspname) || '.' || pg_catalog.quote_ident(j.relname), j.action,
       (case when j.action = 'freeze' then 1000 * j.frozen
             else greatest(j.vacuum_debt, j.insert_debt, j.analyze_debt, 0) end)::double precision,
       (j.relpages::bigint + j.toast_pages) * pg_catalog.current_setting('block_size')::bigint,
       coalesce(j.frozen, 0)::double precision, j.oid in (select b.relid from being as b)
from judged as j
where j.action is not null
order by 4 desc, 2

-- name: changes
-- Rows written to each of these tables since its counters began.
select o.oid::bigint, coalesce(pg_catalog.pg_stat_get_tuples_inserted(o.oid), 0)
       + coalesce(pg_catalog.pg_stat_get_tuples_updated(o.oid), 0)
       + coalesce(pg_catalog.pg_stat_get_tuples_deleted(o.oid), 0)
from pg_catalog.unnest(%(tables)s::oid[]) as o (oid)

-- name: has_requests
-- Only a database with the administration's functions has a list to put a table on.
select pg_catalog.to_regclass('ops.maintenance_requests') is not null

-- name: requests
-- What somebody asked for, each with the tables that it comes to: a partitioned one with its partitions. No table: it is gone.
select r.relation, c.oid::bigint,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
       case when c.relkind = 'p' then 'analyze' else 'vacuum' end,
       c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint
from ops.maintenance_requests as r
left join lateral (
  select pg_catalog.to_regclass(r.relation)::oid as oid
  union select t.relid::oid from pg_catalog.pg_partition_tree(pg_catalog.to_regclass(r.relation)) as t
) as m on m.oid is not null
left join pg_catalog.pg_class as c on c.oid = m.oid
left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where r.finished_at is null
order by r.requested_at, 3

-- name: finish_request
-- It is off the list, and whoever asked can read how it ended.
update ops.maintenance_requests set finished_at = pg_catalog.clock_timestamp(), outcome = pg_catalog.left(%(outcome)s, 500)
where relation = %(relation)s and finished_at is null

-- name: counters
-- VACUUM and ANALYZE end well when they had no right and no effect, too: these say what was done. No row: no such table.
select coalesce(pg_catalog.pg_stat_get_vacuum_count(c.oid), 0), coalesce(pg_catalog.pg_stat_get_analyze_count(c.oid), 0),
       coalesce(pg_catalog.pg_stat_get_dead_tuples(c.oid), 0),
       coalesce(greatest(pg_catalog.age(c.relfrozenxid), pg_catalog.age(t.relfrozenxid)), 0)
from pg_catalog.pg_class as c
left join pg_catalog.pg_class as t on t.oid = c.reltoastrelid
where c.oid = pg_catalog.to_regclass(%(table)s)

-- name: progress
-- How far the session is, 0 to 1; no row between two statements, NULL where nothing can be said.
select p.heap_blks_scanned::double precision / nullif(p.heap_blks_total, 0)
from pg_catalog.pg_stat_progress_vacuum as p where p.pid = %(pid)s
union all
select p.sample_blks_scanned::double precision / nullif(p.sample_blks_total, 0)
from pg_catalog.pg_stat_progress_analyze as p where p.pid = %(pid)s

-- name: xmin_holder
-- Who keeps dead rows from going: the oldest of sessions, prepared transactions, slots and standbys.
with held as (
  select pg_catalog.age(coalesce(a.backend_xmin, a.backend_xid)) as age,
         pg_catalog.format('pid %%s (%%s, user %%s), %%s', a.pid, coalesce(nullif(a.application_name, ''), 'no application name'),
           coalesce(a.usename, '?'),
           case when a.backend_type = 'walsender' then 'a standby that feeds back'
                else coalesce('in a transaction since ' || pg_catalog.to_char(a.xact_start at time zone 'UTC',
                              'YYYY-MM-DD HH24:MI:SS "UTC"'), 'in a transaction') end) as who
  from pg_catalog.pg_stat_activity as a
  where coalesce(a.backend_xmin, a.backend_xid) is not null and a.pid <> pg_catalog.pg_backend_pid()
  union all
  select pg_catalog.age(p.transaction), pg_catalog.format('prepared transaction %%s', pg_catalog.quote_literal(p.gid))
  from pg_catalog.pg_prepared_xacts as p
  union all
  select greatest(pg_catalog.age(s.xmin), pg_catalog.age(s.catalog_xmin)), pg_catalog.format('replication slot %%I', s.slot_name)
  from pg_catalog.pg_replication_slots as s where coalesce(s.xmin, s.catalog_xmin) is not null
)
select h.who from held as h order by h.age desc limit 1
