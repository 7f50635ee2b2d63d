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
         case when c.relkind <> 'p' then greatest(pg_catalog.age(c.relfrozenxid), pg_catalog.age(t.relfrozenxid)) end::bigint as xids,
         case when c.relkind <> 'p' then greatest(pg_catalog.mxid_age(c.relminmxid), pg_catalog.mxid_age(t.relminmxid)) end::bigint as mxids,
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

-- name: who_waits
-- Who has waited too long for a lock that this session holds; not for those that only wait for it to end, as CONCURRENTLY does.
select pg_catalog.format('pid %%s (%%s)', l.pid, coalesce(nullif(a.application_name, ''), 'no application name'))
from pg_catalog.pg_locks as l left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where not l.granted and l.locktype <> 'virtualxid' and %(pid)s = any (pg_catalog.pg_blocking_pids(l.pid))
  and l.waitstart < pg_catalog.clock_timestamp() - %(ms)s * interval '1 millisecond'
order by l.waitstart limit 1

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

-- name: leftovers
-- Invalid indexes: those that an interrupted REINDEX CONCURRENTLY left bear its names and serve nobody; others somebody may
-- be building by hand. Who builds one holds a lock on its table for all of that time.
select pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(x.relname),
       x.relname ~ '_cc(new|old)[0-9]*$' and n.nspname !~ '^pg_' and not x.relispartition
         and not exists (select from pg_catalog.pg_constraint as k where k.conindid = x.oid),
       exists (select from pg_catalog.pg_locks as l
               where l.locktype = 'relation' and l.relation = i.indrelid and l.granted
                 and l.pid is distinct from pg_catalog.pg_backend_pid()
                 and l.database = (select d.oid from pg_catalog.pg_database as d
                                   where d.datname = pg_catalog.current_database())
                 and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                                'AccessExclusiveLock'))
from pg_catalog.pg_index as i
join pg_catalog.pg_class as x on x.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = x.relnamespace
where not i.indisvalid and x.relkind = 'i' and x.relpersistence <> 't'
order by 1

-- name: emptiest_index
-- What could be rebuilt with most gain. Only B-trees whose columns are all in the statistics: for others nobody knows what
-- they need. Deduplication is left out of the account, so the estimate of what is empty errs to the low side.
with block as (
  select pg_catalog.current_setting('block_size')::double precision as size
), known as (
  select x.oid, n.nspname, x.relname, t.relname as table_name, tn.nspname as table_schema, x.relpages, x.reltuples,
         x.reltablespace, i.indnatts,
         coalesce((select o.option_value::double precision from pg_catalog.pg_options_to_table(x.reloptions) as o
                   where o.option_name = 'fillfactor'), 90) / 100 as filled,
         (select pg_catalog.count(s.avg_width) from pg_catalog.pg_attribute as a
          join pg_catalog.pg_stats as s on s.schemaname = tn.nspname and s.tablename = t.relname
            and s.attname = a.attname and not s.inherited
          where a.attrelid = t.oid and a.attnum = any (i.indkey)) as columns_known,
         (select pg_catalog.sum(s.avg_width) from pg_catalog.pg_attribute as a
          join pg_catalog.pg_stats as s on s.schemaname = tn.nspname and s.tablename = t.relname
            and s.attname = a.attname and not s.inherited
          where a.attrelid = t.oid and a.attnum = any (i.indkey)) as width
  from pg_catalog.pg_index as i
  join pg_catalog.pg_class as x on x.oid = i.indexrelid
  join pg_catalog.pg_am as m on m.oid = x.relam and m.amname = 'btree'
  join pg_catalog.pg_namespace as n on n.oid = x.relnamespace
  join pg_catalog.pg_class as t on t.oid = i.indrelid
  join pg_catalog.pg_namespace as tn on tn.oid = t.relnamespace
  where x.relkind = 'i' and x.relpersistence = 'p' and i.indisvalid and i.indisready and i.indexprs is null
    and not i.indisexclusion and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and pg_catalog.pg_has_role(t.relowner, 'usage') and x.reltuples > 0
), estimated as (
  select k.*, b.size,
         (pg_catalog.ceil(k.reltuples * (pg_catalog.ceil((8 + k.width) / 8.0) * 8 + 4) / ((b.size - 40) * k.filled)) * 1.01 + 1)
           as needed
  from known as k cross join block as b where k.columns_known = k.indnatts
)
select pg_catalog.quote_ident(e.nspname) || '.' || pg_catalog.quote_ident(e.relname),
       (e.relpages * e.size)::bigint, (1 - e.needed / e.relpages)::double precision,
       e.reltablespace = 0 and (select d.dattablespace from pg_catalog.pg_database as d
                                where d.datname = pg_catalog.current_database())
                               = (select s.oid from pg_catalog.pg_tablespace as s where s.spcname = 'pg_default')
from estimated as e
where e.relpages * e.size >= %(least_bytes)s and 1 - e.needed / e.relpages >= %(ratio)s
  and pg_catalog.quote_ident(e.table_schema) || '.' || pg_catalog.quote_ident(e.table_name) <> all (%(not_of)s::text[])
order by e.relpages - e.needed desc limit 1

-- name: index_size
-- What an index takes on disk now; no row: it is gone.
select pg_catalog.pg_relation_size(x.oid) from pg_catalog.pg_class as x where x.oid = pg_catalog.to_regclass(%(index)s)

-- name: has_function
-- Whether the database has a function of this signature: only some have WedSync's own.
select pg_catalog.to_regprocedure(%(signature)s) is not null

-- name: ensure_partitions
-- The months ahead; it gives back what it made.
select * from audit.ensure_partitions(%(month)s, %(months)s)

-- name: drop_partitions
-- The months that nobody has to keep any more; it gives back what it dropped.
select * from audit.drop_partitions_before(%(month)s)

-- name: default_partitions
-- Where rows land that no partition is there for: as long as they are there, theirs cannot be made.
select pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
from pg_catalog.pg_partitioned_table as p
join pg_catalog.pg_class as c on c.oid = p.partdefid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname !~ '^pg_'
order by 1

-- name: retry_payments
-- Payment events that wait for something to happen first, tried once more.
select r.outcome, pg_catalog.count(*) from api.retry_payment_events(%(at)s) as r group by r.outcome order by r.outcome

-- name: unused_indexes
-- Never scanned since the counters began, and nothing hangs on them: no constraint, no foreign key that only this one
-- covers, no statistics on an expression. Parts of a partitioned index count with the whole. The second column says whether
-- it was watched for a month.
with tree as (
  select coalesce(pg_catalog.pg_partition_root(i.indexrelid), i.indexrelid::regclass)::oid as root,
         coalesce(pg_catalog.pg_stat_get_numscans(i.indexrelid), 0) as scans
  from pg_catalog.pg_index as i
), unused as (
  select t.root from tree as t group by t.root having pg_catalog.sum(t.scans) = 0
), covering as (
  select k.oid as key, i.indexrelid, pg_catalog.count(*) over (partition by k.oid) as ways
  from pg_catalog.pg_constraint as k join pg_catalog.pg_index as i on i.indrelid = k.conrelid
  where k.contype = 'f' and i.indisvalid and i.indpred is null
    and (i.indkey::smallint[])[0:pg_catalog.cardinality(k.conkey) - 1] @> k.conkey
), since as (
  select greatest(d.stats_reset, b.stats_reset) as counted
  from pg_catalog.pg_stat_database as d cross join pg_catalog.pg_stat_bgwriter as b
  where d.datname = pg_catalog.current_database()
)
select pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(x.relname),
       coalesce(s.counted < pg_catalog.now() - interval '30 days', false)
from unused as u
join pg_catalog.pg_index as i on i.indexrelid = u.root
join pg_catalog.pg_class as x on x.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = x.relnamespace
left join since as s on true
where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'wedsync_db')
  and not (i.indisprimary or i.indisunique or i.indisexclusion or i.indisreplident or i.indisclustered)
  and i.indexprs is null
  and not exists (select from pg_catalog.pg_constraint as k where k.conindid = x.oid)
  and not exists (select from pg_catalog.pg_depend as d
                  where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = x.oid and d.deptype = 'e')
  and not exists (select from covering as v where v.indexrelid = x.oid and v.ways = 1)
order by 1

-- name: duplicate_indexes
-- The same columns, order, operators, expressions and condition twice: one of them is written for nothing. Each list stands
-- in the order of names; whether one of them is unique or backs a constraint decides which to keep.
select pg_catalog.string_agg(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(x.relname)
         || case when i.indisunique then ' (unique)' else '' end, ', ' order by n.nspname, x.relname)
from pg_catalog.pg_index as i
join pg_catalog.pg_class as x on x.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = x.relnamespace
where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'wedsync_db') and i.indisvalid
  and not x.relispartition and not i.indisexclusion
group by i.indrelid, x.relam, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
         pg_catalog.pg_get_expr(i.indexprs, i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid)
having pg_catalog.count(*) > 1
order by 1

-- name: is_replica
-- A server that repeats another one's log takes no VACUUM.
select pg_catalog.pg_is_in_recovery()
