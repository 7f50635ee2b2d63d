-- requires: 0013_audit, 0014_guards
-- What those who look after the database ask it and have done in it: 16 functions in schema ops, for whoever may see all
-- statistics and for the platform's own server side. They answer from counters and the catalog, never wait behind a change
-- of the schema, never reset anything, and say NULL or a word where something cannot be known: a silent zero is a lie.
-- They act as their owner, who deploys. Bytes, seconds and ratios from 0 to 1, milliseconds only where the name says so.
grant usage on schema ops to pg_read_all_stats;

-- -- what they share -------------------------------------------------------------------------------------------------
-- A server that crashed begins its counters anew and says nothing of it in pg_stat_database; pg_stat_bgwriter has the time.
create function ops.counted_since() returns timestamptz
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select greatest(d.stats_reset, b.stats_reset)
    from pg_stat_database as d cross join pg_stat_bgwriter as b
    where d.datname = current_database()
  $$;
comment on function ops.counted_since() is 'since when the counters of this database count; NULL where nobody knows';

-- Text of statements may hold what nobody should read. pg_stat_statements puts $1 for most values, but keeps what utility
-- statements say, ALTER ROLE … PASSWORD for one; pg_stat_activity keeps everything.
-- An apostrophe in a name or a comment begins no text, nor does one behind a backslash in E'…' end it; what stands between
-- dollars may hold both, so that everything from there on is left out.
create function ops.redacted(statement text) returns text
  language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select left(string_agg(case when m.piece[1] is null then m.piece[2] when m.piece[1] ~ '^"' then m.piece[1]
                                when m.piece[1] ~ '^[-/]' then '/*…*/' when m.piece[1] ~ '^\$' then '$…$'
                                else '''…''' end, '' order by m.place), 2000)
    from regexp_matches(left(statement, 10000),
      '("(?:[^"]|"")*(?:"|$)|--[^\n]*|/\*(?:[^*]|\*+[^*/])*(?:\*+/|\**$)|\m[eE]''(?:\\.|''''|[^''\\])*(?:''|\\?$)|'
      '''(?:[^'']|'''')*(?:''|$)|\$(?:[A-Za-z_]\w*)?\$.*)|([^"''eE/$-]+|.)', 'g') with ordinality as m (piece, place)
  $$;
comment on function ops.redacted(text) is 'a statement without what stands in quotes, cut at 2000 characters';

-- Functions that measure or print a relation wait for whoever changes it, and for whoever waits to change it.
create function ops.relations_being_changed() returns setof oid
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select l.relation from pg_locks as l
    where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
      and l.database = (select d.oid from pg_database as d where d.datname = current_database())
  $$;
comment on function ops.relations_being_changed() is 'relations that somebody holds or wants for himself alone';

-- -- 1 to 3: sessions and what they do -------------------------------------------------------------------------------
-- Only clients count: the launcher, workers and walsenders have places of their own. What others do is hidden from an owner
-- without pg_read_all_stats: then what would have to be counted is NULL.
create function ops.get_connection_stats(
    out captured_at timestamptz, out max_connections integer, out reserved_connections integer, out total integer,
    out active integer, out idle integer, out idle_in_transaction integer, out waiting_on_lock integer,
    out used_ratio double precision, out oldest_xact_seconds double precision,
    out oldest_idle_in_xact_seconds double precision, out oldest_query_seconds double precision,
    out other_backends integer, out hidden integer)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    with session as materialized (
      select a.*, a.query = '<insufficient privilege>' and a.backend_type is null as is_hidden
      from pg_stat_activity as a
    ), client as (
      select * from session where backend_type = 'client backend' or is_hidden and datid is not null
    ), counted as (
      select count(*)::integer as total, (count(*) filter (where is_hidden))::integer as hidden,
             (count(*) filter (where state = 'active'))::integer as active,
             (count(*) filter (where state = 'idle'))::integer as idle,
             (count(*) filter (where state like 'idle in transaction%'))::integer as in_transaction,
             (count(*) filter (where wait_event_type = 'Lock'))::integer as waiting,
             extract(epoch from clock_timestamp() - min(xact_start))::double precision as oldest_xact,
             extract(epoch from clock_timestamp() - min(state_change)
               filter (where state like 'idle in transaction%'))::double precision as oldest_idle,
             extract(epoch from clock_timestamp() - min(query_start)
               filter (where state = 'active' and pid <> pg_backend_pid()))::double precision as oldest_query
      from client
    ), places as (
      select current_setting('max_connections')::integer as most,
             current_setting('superuser_reserved_connections')::integer
               + coalesce(current_setting('reserved_connections', true), '0')::integer as reserved  -- from 16 on
    )
    select clock_timestamp(), p.most, p.reserved, c.total,
           case when c.hidden = 0 then c.active end, case when c.hidden = 0 then c.idle end,
           case when c.hidden = 0 then c.in_transaction end, case when c.hidden = 0 then c.waiting end,
           c.total::double precision / greatest(p.most - p.reserved, 1),
           case when c.hidden = 0 then coalesce(c.oldest_xact, 0) end,
           case when c.hidden = 0 then coalesce(c.oldest_idle, 0) end,
           case when c.hidden = 0 then coalesce(c.oldest_query, 0) end,
           (select count(*)::integer from session as s) - c.total, c.hidden
    from counted as c cross join places as p
  $$;
comment on function ops.get_connection_stats() is 'clients by state, and how many places are left';

-- In long form, so that it looks the same on every version. Counters as they are: what they come to in a minute takes two
-- samples between which reset_at is the same.
create function ops.get_performance_stats()
  returns table (metric text, labels jsonb, value double precision, kind text, unit text, reset_at timestamptz)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  version constant integer := current_setting('server_version_num')::integer;
begin
  return query
    select v.metric, '{}'::jsonb, v.value, v.kind, v.unit, ops.counted_since()
    from pg_stat_database as d
    join pg_database as b on b.oid = d.datid
    cross join lateral (values
      ('sessions_open', d.numbackends::double precision, 'gauge', 'sessions'),
      ('xact_commit', d.xact_commit, 'counter', 'transactions'),
      ('xact_rollback', d.xact_rollback, 'counter', 'transactions'),
      ('blks_read', d.blks_read, 'counter', 'blocks'),
      ('blks_hit', d.blks_hit, 'counter', 'blocks'),
      ('rows_returned', d.tup_returned, 'counter', 'rows'),
      ('rows_fetched', d.tup_fetched, 'counter', 'rows'),
      ('rows_inserted', d.tup_inserted, 'counter', 'rows'),
      ('rows_updated', d.tup_updated, 'counter', 'rows'),
      ('rows_deleted', d.tup_deleted, 'counter', 'rows'),
      ('conflicts', d.conflicts, 'counter', 'statements'),
      ('deadlocks', d.deadlocks, 'counter', 'deadlocks'),
      ('temp_bytes', d.temp_bytes, 'counter', 'bytes'),
      -- NULL where pages have no checksums, which is not the same as none that are wrong
      ('checksum_failures', d.checksum_failures, 'counter', 'pages'),
      ('xid_age', age(b.datfrozenxid), 'gauge', 'transactions'),
      ('mxid_age', mxid_age(b.datminmxid), 'gauge', 'transactions'),
      -- made here, and preloaded, or its settings would not be there
      ('statements_available', (select count(*) from pg_extension as e where e.extname = 'pg_stat_statements'
         and current_setting('pg_stat_statements.max', true) is not null), 'gauge', 'extensions')
    ) as v (metric, value, kind, unit)
    where d.datname = current_database();

  return query
    select v.metric, '{}'::jsonb, v.value, 'counter', v.unit, w.stats_reset
    from pg_stat_wal as w cross join lateral (values
      ('wal_records', w.wal_records::double precision, 'records'),
      ('wal_full_pages', w.wal_fpi, 'pages'),
      ('wal_bytes', w.wal_bytes, 'bytes'),
      ('wal_buffers_full', w.wal_buffers_full, 'times')
    ) as v (metric, value, unit);

  return query execute case when version >= 170000 then $q$
      select v.metric, '{}'::jsonb, v.value, 'counter', v.unit, c.stats_reset
      from pg_stat_checkpointer as c cross join lateral (values
        ('checkpoints_timed', c.num_timed::double precision, 'checkpoints'),
        ('checkpoints_requested', c.num_requested, 'checkpoints'),
        ('checkpoint_buffers', c.buffers_written, 'blocks')
      ) as v (metric, value, unit)
    $q$ else $q$
      select v.metric, '{}'::jsonb, v.value, 'counter', v.unit, c.stats_reset
      from pg_stat_bgwriter as c cross join lateral (values
        ('checkpoints_timed', c.checkpoints_timed::double precision, 'checkpoints'),
        ('checkpoints_requested', c.checkpoints_req, 'checkpoints'),
        ('checkpoint_buffers', c.buffers_checkpoint, 'blocks')
      ) as v (metric, value, unit)
    $q$ end;

  if version >= 160000 then
    return query execute $q$
      select v.metric, jsonb_build_object('by', i.backend_type), v.value, 'counter', 'operations', i.stats_reset
      from (select backend_type, sum(reads) as reads, sum(writes) as writes, max(stats_reset) as stats_reset
            from pg_stat_io where object = 'relation' group by backend_type) as i
      cross join lateral (values ('io_reads', i.reads::double precision), ('io_writes', i.writes)) as v (metric, value)
      where v.value > 0
    $q$;
  end if;
end
$$;
comment on function ops.get_performance_stats() is 'raw counters and gauges of this database and its server';

-- Without pg_stat_statements (absent, not preloaded, or out of the owner's reach) what runs right now, and it says so.
create function ops.get_slow_queries(
    limit_rows integer default 20, min_mean_ms double precision default 0, min_calls bigint default 1)
  returns table (source text, queryid bigint, user_name text, query text, calls bigint, total_exec_ms double precision,
                 mean_exec_ms double precision, max_exec_ms double precision, result_rows bigint, shared_blks_hit bigint,
                 shared_blks_read bigint, read_ms double precision, temp_blks_written bigint, wal_bytes numeric,
                 counted_since timestamptz)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  home text;
  version integer[];
begin
  select n.nspname, string_to_array(e.extversion, '.')::integer[] into home, version
  from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace
  where e.extname = 'pg_stat_statements';
  if version >= array[1, 9] then  -- columns follow the extension's version, not the server's
    begin
      return query execute format($q$
        select 'pg_stat_statements', s.queryid, pg_get_userbyid(s.userid)::text, ops.redacted(s.query), s.calls,
               s.total_exec_time, s.mean_exec_time, s.max_exec_time, s.rows, s.shared_blks_hit, s.shared_blks_read,
               s.%2$I, s.temp_blks_written, s.wal_bytes, %3$s
        from %1$I.pg_stat_statements as s
        where s.dbid = (select d.oid from pg_database as d where d.datname = current_database())
          and s.calls >= $2 and s.mean_exec_time >= $3
        order by s.total_exec_time desc limit $1
      $q$, home, case when version >= array[1, 11] then 'shared_blk_read_time' else 'blk_read_time' end,
        case when version >= array[1, 11] then 's.stats_since'
             else format('(select i.stats_reset from %I.pg_stat_statements_info as i)', home) end)
      using limit_rows, min_calls, min_mean_ms;
      return;
    exception when object_not_in_prerequisite_state or insufficient_privilege or undefined_table then
      null;  -- not preloaded, or not ours to read
    end;
  end if;
  return query
    select 'pg_stat_activity', null::bigint, a.usename::text, ops.redacted(a.query), 1::bigint, r.ms, r.ms, r.ms,
           null::bigint, null::bigint, null::bigint, null::double precision, null::bigint, null::numeric, a.query_start
    from pg_stat_activity as a
    cross join lateral (
      select extract(epoch from clock_timestamp() - a.query_start)::double precision * 1000 as ms) as r
    where a.datname = current_database() and a.state = 'active' and a.pid <> pg_backend_pid()
      and a.backend_type = 'client backend' and r.ms >= min_mean_ms
    order by r.ms desc limit limit_rows;
end
$$;
comment on function ops.get_slow_queries(integer, double precision, bigint) is
  'statements by the time they took in all; without pg_stat_statements those that run now (source says which)';

-- -- 4 to 6: tables and indexes --------------------------------------------------------------------------------------
-- Partitions count with their root. The largest by pages as of the last vacuum; their exact sizes unless somebody changes
-- them: a question for a size would wait, and everybody behind it.
create function ops.get_table_sizes(limit_rows integer default 100, exact boolean default true)
  returns table (schema_name text, table_name text, kind text, partitions integer, estimated_rows bigint,
                 table_bytes bigint, toast_bytes bigint, index_bytes bigint, total_bytes bigint, is_estimate boolean)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp set lock_timeout = '50ms'
  as $$
declare
  block constant bigint := current_setting('block_size')::bigint;
  one record;
begin
  for one in
    with leaf as (
      select coalesce(pg_partition_root(c.oid), c.oid::regclass)::oid as root, c.oid, c.relispartition,
             case when c.reltuples >= 0 then c.reltuples end as tuples, c.relpages::bigint as pages,
             coalesce(t.relpages, 0)::bigint + coalesce((select sum(x.relpages) from pg_index as i
               join pg_class as x on x.oid = i.indexrelid where i.indrelid = c.reltoastrelid), 0) as toast_pages,
             coalesce((select sum(x.relpages) from pg_index as i join pg_class as x on x.oid = i.indexrelid
                       where i.indrelid = c.oid), 0) as index_pages
      from pg_class as c
      left join pg_class as t on t.oid = c.reltoastrelid
      where c.relkind in ('r', 'm', 'p') and c.relpersistence <> 't'
    )
    select n.nspname, r.relname, r.relkind, l.members, l.children, l.tuples, l.pages, l.toast_pages, l.index_pages,
           l.members && array(select ops.relations_being_changed()) as busy
    from (
      select leaf.root, array_agg(leaf.oid) as members, (count(*) filter (where leaf.relispartition))::integer as children,
             -- a parent has no rows of its own; a part that nobody counted makes the whole unknown
             case when count(*) filter (where leaf.tuples is null and p.relkind <> 'p') = 0
                  then sum(leaf.tuples) filter (where p.relkind <> 'p') end as tuples,
             sum(leaf.pages) filter (where p.relkind <> 'p') as pages, sum(leaf.toast_pages) as toast_pages,
             sum(leaf.index_pages) filter (where p.relkind <> 'p') as index_pages
      from leaf join pg_class as p on p.oid = leaf.oid
      group by leaf.root
    ) as l
    join pg_class as r on r.oid = l.root
    join pg_namespace as n on n.oid = r.relnamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    order by coalesce(l.pages, 0) + l.toast_pages + coalesce(l.index_pages, 0) desc, n.nspname, r.relname
    limit limit_rows
  loop
    schema_name := one.nspname;
    table_name := one.relname;
    kind := case one.relkind when 'r' then 'table' when 'p' then 'partitioned table' else 'materialized view' end;
    partitions := one.children;
    estimated_rows := one.tuples;
    is_estimate := not exact or one.busy;
    if not is_estimate then
      begin
        select sum(pg_table_size(m.oid) - m.toast), sum(m.toast), sum(pg_indexes_size(m.oid)),
               sum(pg_total_relation_size(m.oid))
        into table_bytes, toast_bytes, index_bytes, total_bytes
        from (select c.oid, coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) as toast
              from pg_class as c where c.oid = any (one.members)) as m;
      exception when lock_not_available then
        is_estimate := true;  -- somebody came between
      end;
    end if;
    if is_estimate then
      table_bytes := coalesce(one.pages, 0) * block;
      toast_bytes := one.toast_pages * block;
      index_bytes := coalesce(one.index_pages, 0) * block;
      total_bytes := table_bytes + toast_bytes + index_bytes;
    end if;
    return next;
  end loop;
end
$$;
comment on function ops.get_table_sizes(integer, boolean) is
  'the largest tables, partitions counted with their root; is_estimate: by pages as of the last vacuum';

-- Counters are those of this server alone: a replica has its own. Sizes by pages, as asking for more waits.
create function ops.get_index_usage(limit_rows integer default 100)
  returns table (schema_name text, table_name text, index_name text, scans bigint, tup_read bigint, tup_fetch bigint,
                 last_idx_scan timestamptz, bytes bigint, is_unique boolean, is_primary boolean, is_valid boolean,
                 constraint_name text, hit_ratio double precision, observed_since timestamptz)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
begin
  return query execute format($q$
    select s.schemaname::text, s.relname::text, s.indexrelname::text, s.idx_scan, s.idx_tup_read, s.idx_tup_fetch,
           %s, c.relpages::bigint * current_setting('block_size')::bigint, i.indisunique, i.indisprimary, i.indisvalid,
           (select k.conname::text from pg_constraint as k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')
            limit 1),
           o.idx_blks_hit / nullif(o.idx_blks_hit + o.idx_blks_read, 0)::double precision, ops.counted_since()
    from pg_stat_user_indexes as s
    join pg_index as i on i.indexrelid = s.indexrelid
    join pg_class as c on c.oid = s.indexrelid
    left join pg_statio_user_indexes as o on o.indexrelid = s.indexrelid
    order by s.idx_scan desc, c.relpages desc, s.schemaname, s.indexrelname
    limit $1
  $q$, case when current_setting('server_version_num')::integer >= 160000 then 's.last_idx_scan'
            else 'null::timestamptz' end)
  using limit_rows;
end
$$;
comment on function ops.get_index_usage(integer) is 'how often each index was used since observed_since, most used first';

-- A verdict for each index that nobody used. Protected: what does something else than being scanned, with the reasons;
-- too_early: not looked at long enough, or nobody knows for how long. Partitions count with their root, as a part cannot be
-- dropped alone. It is a list to think about: nothing here drops anything, and each replica has counters of its own.
create function ops.get_unused_indexes(
    min_observed interval default '30 days', min_bytes bigint default 0, max_scans bigint default 0)
  returns table (schema_name text, table_name text, index_name text, bytes bigint, idx_scan bigint,
                 last_idx_scan timestamptz, observed_since timestamptz, verdict text, reasons text[], index_definition text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp set lock_timeout = '50ms'
  as $$
declare
  since constant timestamptz := ops.counted_since();
  changing constant oid[] := array(select ops.relations_being_changed());
  one record;
begin
  for one in execute format($q$
    with tree as materialized (
      select coalesce(pg_partition_root(i.indexrelid), i.indexrelid::regclass)::oid as root, i.indexrelid, c.relpages,
             coalesce(pg_stat_get_numscans(i.indexrelid), 0) as scans, %s as last_scan
      from pg_index as i join pg_class as c on c.oid = i.indexrelid
      where c.relnamespace not in (select n.oid from pg_namespace as n
                                   where n.nspname ~ '^pg_' or n.nspname = 'information_schema')
    ), summed as materialized (
      select root, sum(scans)::bigint as scans, max(last_scan) as last_scan,
             sum(relpages)::bigint * current_setting('block_size')::bigint as bytes
      from tree group by root
      having sum(scans) <= $1 and sum(relpages)::bigint * current_setting('block_size')::bigint >= $2
    ), backed as materialized (
      select distinct k.conindid from pg_constraint as k where k.conindid <> 0
    ), owned as materialized (
      select d.objid from pg_depend as d where d.classid = 'pg_class'::regclass and d.deptype = 'e'
    ), covering as materialized (
      -- which index covers which foreign key: its first columns are the key's, in whatever order, and no row is left out
      select k.oid as key, i.indexrelid, count(*) over (partition by k.oid) as ways
      from pg_constraint as k join pg_index as i on i.indrelid = k.conrelid
      where k.contype = 'f' and i.indisvalid and i.indpred is null
        and (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
    )
    select s.*, i.indexrelid, i.indrelid, n.nspname, t.relname as table_name, x.relname as index_name,
           array_remove(array[
             case when i.indisprimary then 'primary key' end,
             case when i.indisunique and not i.indisprimary then 'unique' end,
             case when i.indisexclusion then 'exclusion constraint' end,
             case when b.conindid is not null and not (i.indisprimary or i.indisunique or i.indisexclusion)
                  then 'constraint' end,
             case when i.indisreplident then 'replica identity' end,
             case when i.indisclustered then 'clustered on' end,
             case when i.indexprs is not null then 'expression: has statistics of its own' end,
             case when o.objid is not null then 'belongs to an extension' end,
             case when v.indexrelid is not null then 'only index behind a foreign key' end
           ], null) as reasons
    from summed as s
    join pg_index as i on i.indexrelid = s.root
    join pg_class as x on x.oid = i.indexrelid
    join pg_class as t on t.oid = i.indrelid
    join pg_namespace as n on n.oid = x.relnamespace
    left join backed as b on b.conindid = i.indexrelid
    left join owned as o on o.objid = i.indexrelid
    left join lateral (select covering.indexrelid from covering
                       where covering.indexrelid = i.indexrelid and covering.ways = 1 limit 1) as v on true
    order by s.bytes desc, n.nspname, x.relname
  $q$, case when current_setting('server_version_num')::integer >= 160000 then 'pg_stat_get_lastscan(i.indexrelid)'
            else 'null::timestamptz' end)
  using max_scans, min_bytes
  loop
    schema_name := one.nspname;
    table_name := one.table_name;
    index_name := one.index_name;
    bytes := one.bytes;
    idx_scan := one.scans;
    last_idx_scan := one.last_scan;
    observed_since := since;
    reasons := one.reasons;
    if cardinality(reasons) > 0 then
      verdict := 'protected';
    elsif since is null or since > now() - min_observed then
      verdict := 'too_early';
      reasons := array[case when since is null then 'nobody knows since when scans are counted'
                            else 'scans are counted since ' || ops.shown(since) end];
    else
      verdict := 'candidate';
    end if;
    index_definition := null;
    if not (one.indrelid = any (changing) or one.indexrelid = any (changing)) then
      begin
        index_definition := pg_get_indexdef(one.indexrelid);
      exception when lock_not_available then
        null;  -- somebody came between
      end;
    end if;
    return next;
  end loop;
end
$$;
comment on function ops.get_unused_indexes(interval, bigint, bigint) is
  'indexes that nobody used: candidate, too_early or protected, with reasons; drops nothing';

-- -- 7 to 9: statistics and vacuum -----------------------------------------------------------------------------------
-- VACUUM runs in no function, on no version: what is asked for waits here until the nightly work has done it.
create table ops.maintenance_requests (
  id uuid primary key default app.uuid_v7(),
  relation text not null check (length(relation) between 1 and 200),
  requested_by text not null check (length(requested_by) <= 63),
  requested_at timestamptz not null default now(),
  finished_at timestamptz,
  outcome text check (length(outcome) <= 500),
  check ((outcome is null) = (finished_at is null))
);
create unique index maintenance_requests_open_idx on ops.maintenance_requests (relation) where finished_at is null;
comment on table ops.maintenance_requests is 'tables that somebody wants vacuumed; maintenance does it and writes the outcome';

-- 'schema.table', each part quoted where it needs it; NULL for everything that is no such name, and no error.
create function ops.named_table(name text) returns regclass
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
declare
  parts text[];
begin
  parts := parse_ident(name);
  if cardinality(parts) <> 2 then
    return null;
  end if;
  return (select c.oid::regclass from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
          where n.nspname = parts[1] and c.relname = parts[2] and c.relkind in ('r', 'p', 'm'));
exception when invalid_parameter_value or name_too_long then
  return null;
end
$$;
comment on function ops.named_table(text) is 'the table of this name, or NULL';

-- ANALYZE without the right to only warns, so the right is asked about before and the time of the last one after.
create function ops.analyze_table(name text, lock_timeout_ms integer default 2000)
  returns table (table_name text, status text, analyzed_at timestamptz, duration_ms double precision,
                 rows_before bigint, rows_after bigint, detail text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  target constant regclass := ops.named_table(name);
  started constant timestamptz := clock_timestamp();
  earlier timestamptz;
  may boolean;
begin
  table_name := coalesce(target::text, name);
  status := 'not_done';
  if lock_timeout_ms is null or lock_timeout_ms not between 1 and 60000 then
    detail := 'lock_timeout_ms is not between 1 and 60000';
  elsif pg_is_in_recovery() then
    status := 'skipped';
    detail := 'a replica takes its statistics from the primary';
  elsif target is null then
    detail := 'there is no table of that name; it takes schema.table';
  end if;
  if detail is not null then
    return next;
    return;
  end if;

  select case when c.reltuples >= 0 then c.reltuples end, pg_stat_get_last_analyze_time(c.oid),
         pg_has_role(c.relowner, 'usage')
           or pg_has_role(b.datdba, 'usage')
           or current_setting('server_version_num')::integer >= 170000 and has_table_privilege(c.oid, 'MAINTAIN')
  into rows_before, earlier, may
  from pg_class as c cross join pg_database as b where c.oid = target and b.datname = current_database();
  if not may then
    status := 'denied';
    detail := format('role %s neither owns it nor may maintain it', quote_ident(current_user));
    return next;
    return;
  end if;

  perform set_config('lock_timeout', lock_timeout_ms::text, true);
  begin
    execute format('analyze %s', target);
    perform pg_stat_clear_snapshot();
    select case when c.reltuples >= 0 then c.reltuples end, pg_stat_get_last_analyze_time(c.oid)
    into rows_after, analyzed_at from pg_class as c where c.oid = target;
    status := case when analyzed_at is distinct from earlier then 'analyzed' else 'not_done' end;
    detail := case when status = 'not_done' then 'the server counts no analyze' end;
  exception
    when lock_not_available then
      status := 'busy';
      detail := format('not to be had within %s ms', lock_timeout_ms);
    when insufficient_privilege then
      status := 'denied';
      detail := 'the server refused it';
  end;
  duration_ms := extract(epoch from clock_timestamp() - started)::double precision * 1000;
  return next;
end
$$;
comment on function ops.analyze_table(text, integer) is
  'analyzes one table: analyzed, busy, denied, skipped or not_done';

create function ops.vacuum_analyze_table(name text)
  returns table (request_id uuid, table_name text, status text, detail text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  target constant regclass := ops.named_table(name);
begin
  table_name := coalesce(target::text, name);
  if target is null or pg_is_in_recovery() then
    status := case when target is null then 'not_done' else 'skipped' end;
    detail := case when target is null then 'there is no table of that name; it takes schema.table'
                   else 'a replica is vacuumed with its primary' end;
    return next;
    return;
  end if;
  insert into ops.maintenance_requests (relation, requested_by) values (target::text, session_user)
  on conflict (relation) where finished_at is null do nothing
  returning id into request_id;
  status := 'queued';
  detail := 'vacuum runs in no function: the nightly maintenance does it';
  if request_id is null then
    select r.id into request_id from ops.maintenance_requests as r
    where r.relation = target::text and r.finished_at is null;
    detail := 'it was asked for already';
  end if;
  return next;
end
$$;
comment on function ops.vacuum_analyze_table(text) is 'puts a table on the list of the nightly maintenance';

-- Each ANALYZE keeps its lock to the end of this transaction, so only a few tables at once; all of them are maintenance's.
create function ops.update_table_statistics(limit_rows integer default 10, budget_ms integer default 5000)
  returns table (table_name text, status text, analyzed_at timestamptz, duration_ms double precision,
                 rows_before bigint, rows_after bigint, detail text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  started constant timestamptz := clock_timestamp();
  one record;
begin
  for one in
    select c.table_name as name from ops.get_maintenance_candidates(1000) as c
    where c.analyze_debt >= 1 or c.action = 'analyze'
    order by c.analyze_debt desc nulls first limit least(greatest(limit_rows, 0), 100)
  loop
    exit when extract(epoch from clock_timestamp() - started) * 1000 > budget_ms;
    return query select a.* from ops.analyze_table(one.name, 200) as a;
  end loop;
end
$$;
comment on function ops.update_table_statistics(integer, integer) is
  'analyzes the tables that need it most, a few and for a few seconds';

-- -- 10: a migration by hand -----------------------------------------------------------------------------------------
create table ops.executed_migrations (
  name text primary key check (length(name) between 1 and 200),
  checksum text not null check (checksum ~ '^[0-9a-f]{64}$'),
  executed_by text not null default session_user,
  executed_at timestamptz not null default now()
);
comment on table ops.executed_migrations is 'what execute_migration() did; deployments keep a ledger of their own';

-- For the day when nothing but psql is at hand. With the rights of its caller, in the caller's transaction, under the lock
-- that deployments take, once for each name, and never again with other text. What ends a transaction or runs in none is
-- refused by the server itself. No role is granted this.
create function ops.execute_migration(
    sql text, name text, checksum text default null, lock_timeout_ms integer default 2000)
  returns table (migration_name text, migration_checksum text, status text, duration_ms double precision)
  language plpgsql volatile set search_path = pg_catalog, pg_temp
  as $$
declare
  digest constant text := encode(sha256(convert_to(execute_migration.sql, 'UTF8')), 'hex');
  started constant timestamptz := clock_timestamp();
  before_role constant text := current_user;
  known text;
begin
  if execute_migration.sql is null or execute_migration.name is null then
    raise exception 'a migration has a text and a name' using errcode = 'invalid_parameter_value';
  end if;
  if execute_migration.checksum is not null and lower(execute_migration.checksum) <> digest then
    raise exception 'the text of % is not what its checksum says', execute_migration.name
      using errcode = 'invalid_parameter_value', hint = format('Its SHA-256 is %s.', digest);
  end if;
  if not pg_try_advisory_xact_lock(1464157267, 1) then
    raise exception 'a deployment, a backup or maintenance holds this database'
      using errcode = 'lock_not_available', hint = 'Wait until it has finished.';
  end if;
  select m.checksum into known from ops.executed_migrations as m where m.name = execute_migration.name;
  if known is distinct from digest and known is not null then
    raise exception '% was executed with another text', execute_migration.name
      using errcode = 'invalid_parameter_value', hint = 'Give what is new a new name.';
  end if;
  if known is null then
    perform set_config('lock_timeout', lock_timeout_ms::text, true);
    execute execute_migration.sql;
    if current_user <> before_role then
      raise exception '% changes the role and leaves it changed', execute_migration.name
        using errcode = 'invalid_transaction_state';
    end if;
    insert into ops.executed_migrations (name, checksum) values (execute_migration.name, digest);
  end if;
  return query select execute_migration.name, digest, case when known is null then 'applied' else 'already_applied' end,
                      extract(epoch from clock_timestamp() - started)::double precision * 1000;
end
$$;
comment on function ops.execute_migration(text, text, text, integer) is
  'runs SQL once under a name, with the caller''s rights, all or nothing';

-- -- 11 and 12: size and backups -------------------------------------------------------------------------------------
create function ops.get_database_size(out database_name text, out size_bytes bigint, out captured_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select current_database()::text, pg_database_size(current_database()), clock_timestamp()
  $$;
comment on function ops.get_database_size() is 'size of this database on disk';

-- A copy for those who look from inside. The truth is beside the backups: a restore would take this back in time.
create table ops.backup_records (
  id text primary key check (length(id) between 1 and 100),
  kind text not null check (kind in ('logical', 'physical', 'provider')),
  status text not null check (status in ('started', 'complete', 'verified', 'restored', 'failed')),
  finished_at timestamptz,
  verified_at timestamptz,
  size_bytes bigint check (size_bytes >= 0),
  sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
  location text check (length(location) <= 500),
  recorded_at timestamptz not null default now(),
  check (finished_at is not null or status in ('started', 'failed'))
);
comment on table ops.backup_records is 'what the nightly backup told of itself; verified_at: restored and compared';

-- No row is unknown and never good. That the archiver works says nothing about backups, so it is told apart.
create function ops.get_last_backup_time(
    out kind text, out finished_at timestamptz, out age_seconds double precision, out verified_at timestamptz,
    out size_bytes bigint, out sha256 text, out location text, out status text,
    out last_archived_time timestamptz, out archive_failing boolean)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select b.kind, b.finished_at, extract(epoch from clock_timestamp() - b.finished_at)::double precision,
           (select max(v.verified_at) from ops.backup_records as v), b.size_bytes, b.sha256, b.location,
           coalesce(b.status, 'unknown'), a.last_archived_time,
           case when current_setting('archive_mode') <> 'off'
                then a.last_failed_time is not null and a.last_failed_time > coalesce(a.last_archived_time, '-infinity') end
    from pg_stat_archiver as a
    left join lateral (select * from ops.backup_records as r
                       where r.status in ('complete', 'verified', 'restored')
                       order by r.finished_at desc limit 1) as b on true
  $$;
comment on function ops.get_last_backup_time() is
  'the newest complete backup, and when one was last restored and compared; status unknown: there is no record';

-- -- 13: who waits for whom ------------------------------------------------------------------------------------------
-- By pg_blocking_pids, which knows the queue for a lock, too: a reader waits for the ALTER that waits for somebody idle.
create function ops.get_blocking_tree()
  returns table (root_pid integer, depth integer, pid integer, blocked_by integer[], user_name text, application_name text,
                 state text, wait_event text, xact_seconds double precision, wait_seconds double precision,
                 lock_mode text, locked_object text, query text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    with recursive waiting as materialized (
      select l.pid, pg_blocking_pids(l.pid) as by, min(l.waitstart) as since, min(l.mode) as mode,
             min(case l.locktype when 'relation' then coalesce(n.nspname || '.' || c.relname, l.relation::text)
                 else l.locktype end) as object
      from pg_locks as l
      left join pg_class as c on c.oid = l.relation
        and l.database = (select d.oid from pg_database as d where d.datname = current_database())
      left join pg_namespace as n on n.oid = c.relnamespace
      where not l.granted
      group by l.pid
    ), edge as materialized (
      select w.pid, b.pid as holder from waiting as w cross join lateral unnest(w.by) as b (pid)
    ), tree as (
      select distinct e.holder as root, 0 as depth, e.holder as pid, array[e.holder] as way
      from edge as e where not exists (select from edge as up where up.pid = e.holder)
      union all
      select t.root, t.depth + 1, e.pid, t.way || e.pid
      from tree as t join edge as e on e.holder = t.pid
      where e.pid <> all (t.way) and t.depth < 50
    ), once as (
      -- who waits for several of a chain stands once, below the last of them
      select distinct on (t.root, t.pid) t.* from tree as t order by t.root, t.pid, t.depth desc
    )
    select t.root, t.depth, t.pid, coalesce(w.by, '{}'), a.usename::text, a.application_name, a.state,
           a.wait_event_type || ':' || a.wait_event,
           extract(epoch from clock_timestamp() - a.xact_start)::double precision,
           extract(epoch from clock_timestamp() - w.since)::double precision, w.mode, w.object, ops.redacted(a.query)
    from once as t
    left join waiting as w on w.pid = t.pid
    left join pg_stat_activity as a on a.pid = t.pid  -- none for a prepared transaction, whose pid is 0
    order by t.root, t.way
  $$;
comment on function ops.get_blocking_tree() is 'who waits for a lock and for whom: roots have depth 0 and wait for nobody';

-- -- 14: what needs vacuum and analyze -------------------------------------------------------------------------------
-- Debts are multiples of what starts autovacuum for this table, its own settings included: 1 is due.
create function ops.get_maintenance_candidates(limit_rows integer default 50)
  returns table (table_name text, relkind text, action text, priority double precision, xid_age bigint, mxid_age bigint,
                 freeze_ratio double precision, dead_rows bigint, vacuum_debt double precision,
                 insert_debt double precision, analyze_debt double precision, last_vacuum timestamptz,
                 last_analyze timestamptz, autovacuum_enabled boolean, running boolean, est_bytes bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    with usual as materialized (
      select s.name, s.setting::double precision as value from pg_settings as s
      where s.name ~ '^autovacuum_(vacuum|analyze)_.*(threshold|scale_factor)$' or s.name ~ '^autovacuum_.*freeze_max_age$'
    ), being as materialized (
      select p.relid from pg_stat_progress_vacuum as p union select p.relid from pg_stat_progress_analyze as p
    ), known as (
      select c.oid, n.nspname, c.relname, c.relkind, c.relpages, greatest(c.reltuples, 0) as tuples,
             c.reltuples < 0 as never_counted,
             case when c.relkind <> 'p' then greatest(age(c.relfrozenxid), age(t.relfrozenxid)) end::bigint as xids,
             case when c.relkind <> 'p' then greatest(mxid_age(c.relminmxid), mxid_age(t.relminmxid)) end::bigint as mxids,
             coalesce(pg_stat_get_dead_tuples(c.oid), 0) as dead, coalesce(pg_stat_get_ins_since_vacuum(c.oid), 0) as inserted,
             coalesce(pg_stat_get_mod_since_analyze(c.oid), 0) as modified,
             greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) as vacuumed,
             greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) as analyzed,
             coalesce((o.own ->> 'autovacuum_enabled')::boolean, true) as enabled,
             (select coalesce(jsonb_object_agg(u.name, coalesce((o.own ->> u.name)::double precision, u.value)), '{}')
              from usual as u) as v
      from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace
      left join pg_class as t on t.oid = c.reltoastrelid
      cross join lateral (select coalesce(jsonb_object_agg(x.option_name, x.option_value), '{}') as own
                          from pg_options_to_table(c.reloptions) as x) as o
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
             case when d.relkind <> 'p' and d.frozen >= 0.8 then 'freeze'
                  when d.relkind <> 'p' and (d.vacuum_debt >= 1 or d.insert_debt >= 1) then 'vacuum'
                  when d.relkind <> 'p' and (d.analyze_debt >= 1 or d.never_counted and (d.relpages > 0 or d.modified > 0))
                    then 'analyze'
                  -- autovacuum never looks at a parent
                  when d.relkind = 'p' and (d.analyzed is null or d.analyzed < now() - interval '7 days')
                    and exists (select from pg_inherits as i where i.inhparent = d.oid) then 'analyze'
             end as action
      from debt as d
    )
    select quote_ident(j.nspname) || '.' || quote_ident(j.relname), j.relkind::text, j.action,
           case when j.frozen >= 0.8 then 1000 * j.frozen
                else greatest(j.vacuum_debt, j.insert_debt, j.analyze_debt, 0) end,
           j.xids, j.mxids, j.frozen, j.dead, j.vacuum_debt, j.insert_debt, j.analyze_debt, j.vacuumed, j.analyzed,
           j.enabled, j.oid in (select b.relid from being as b),
           j.relpages::bigint * current_setting('block_size')::bigint
    from judged as j
    where j.action is not null
    order by 4 desc, 1
    limit limit_rows
  $$;
comment on function ops.get_maintenance_candidates(integer) is
  'tables that need freezing, vacuum or analyze, most urgent first; a debt of 1 is due';

-- -- 15: what is wrong with the schema ------------------------------------------------------------------------------
-- Names and cache_key are the same as long as the issue is, so that tonight can be told from last night.
create function ops.get_schema_issues()
  returns table (check_name text, severity text, object text, detail text, cache_key text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    with place as materialized (
      select n.oid, quote_ident(n.nspname) as name from pg_namespace as n
      where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'wedsync_db')
        and not exists (select from pg_depend as d where d.classid = 'pg_namespace'::regclass and d.objid = n.oid
                          and d.deptype = 'e')
    ), tab as materialized (
      select c.*, p.name || '.' || quote_ident(c.relname) as name from pg_class as c join place as p on p.oid = c.relnamespace
      where c.relkind in ('r', 'p')
    ), found as (
      select 'no_primary_key' as check_name, 'warn' as severity, t.name as object,
             'rows cannot be told apart: no logical replication, no repair by key' as detail
      from tab as t where not t.relispartition
        and not exists (select from pg_index as i where i.indrelid = t.oid and i.indisprimary)
      union all
      select 'rls_disabled', 'error', t.name, 'an API role may reach it, and nothing says which rows'
      from tab as t where not t.relrowsecurity and not t.relispartition
        and exists (select from pg_roles as r where r.rolname in ('anon', 'authenticated')
                      and has_schema_privilege(r.oid, t.relnamespace, 'usage')
                      and has_table_privilege(r.oid, t.oid, 'select, insert, update, delete'))
      union all
      select 'foreign_key_without_index', 'warn', t.name, 'foreign key ' || k.conname
      from tab as t join pg_constraint as k on k.conrelid = t.oid and k.contype = 'f' and k.conparentid = 0
      where not exists (select from pg_index as i where i.indrelid = t.oid and i.indisvalid and i.indpred is null
                          and (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey)
      union all
      select 'invalid_index', 'error', p.name || '.' || quote_ident(x.relname),
             case when x.relname ~ '_cc(new|old)[0-9]*$' then 'left by an interrupted REINDEX CONCURRENTLY'
                  else 'left by an interrupted CREATE INDEX CONCURRENTLY' end
      from pg_index as i join pg_class as x on x.oid = i.indexrelid join place as p on p.oid = x.relnamespace
      where not i.indisvalid and x.relkind = 'i'
        and not exists (select from pg_stat_progress_create_index as g
                        where g.relid = i.indrelid and (g.index_relid = i.indexrelid or g.index_relid = 0))
      union all
      select 'not_validated', 'warn', t.name, 'constraint ' || k.conname || ' does not hold for what was there before'
      from tab as t join pg_constraint as k on k.conrelid = t.oid where not k.convalidated and k.contype in ('c', 'f')
      union all
      select 'unlogged', 'warn', t.name, 'empty after a crash, and absent from every replica'
      from tab as t where t.relpersistence = 'u'
      union all
      select 'key_runs_out', case when s.used is null then 'unknown' when s.used >= 0.9 then 'error' else 'warn' end, s.name,
             case when s.used is null then 'its sequence may not be read'
                  else format('%s %% of %s is used up', round((s.used * 100)::numeric), s.type) end
      from (
        select t.name || '.' || quote_ident(a.attname) as name, format_type(a.atttypid, null) as type,
               -- the column ends before a bigint sequence does
               case when has_sequence_privilege(q.oid, 'select, usage') then coalesce(v.last_value, 0)
                 / least(v.max_value, case a.atttypid when 'int2'::regtype then 32767 when 'int4'::regtype then 2147483647
                                      else 9223372036854775807 end)::double precision end as used
        from pg_class as q
        join pg_namespace as n on n.oid = q.relnamespace
        join pg_sequences as v on v.schemaname = n.nspname and v.sequencename = q.relname
        join pg_depend as d on d.classid = 'pg_class'::regclass and d.objid = q.oid and d.deptype in ('a', 'i')
          and d.refclassid = 'pg_class'::regclass
        join tab as t on t.oid = d.refobjid
        join pg_attribute as a on a.attrelid = t.oid and a.attnum = d.refobjsubid
        where q.relkind = 'S'  -- a bigint lasts for ever, and each that is read is locked until this ends
          and (v.max_value < 9223372036854775807 or a.atttypid in ('int2'::regtype, 'int4'::regtype))
      ) as s where s.used is null or s.used >= 0.7
      union all
      select 'definer_function_open', 'error', f.oid::regprocedure::text, 'acts as its owner, and anybody may call it'
      from pg_proc as f join place as p on p.oid = f.pronamespace
      where f.prosecdef and exists (
        select from aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as a
        where a.privilege_type = 'EXECUTE'
          and (a.grantee = 0 or a.grantee = (select r.oid from pg_roles as r where r.rolname = 'anon')))
    )
    select f.check_name, f.severity, f.object, f.detail, f.check_name || ':' || f.object || ':' || md5(f.detail) from found as f
    order by array_position(array['error', 'unknown', 'warn', 'info'], f.severity), f.check_name, f.object, f.detail
  $$;
comment on function ops.get_schema_issues() is 'what is wrong with the schema, by error, unknown and warn';

-- -- 16: replication -------------------------------------------------------------------------------------------------
-- Equal positions mean nothing when the primary is gone: a replica's receiver has to be streaming, and to have heard lately.
create function ops.get_replication_status()
  returns table (kind text, name text, state text, sync_state text, lag_bytes bigint, lag_seconds double precision,
                 last_message_seconds double precision, retained_bytes bigint, wal_status text, inactive_seconds
                 double precision, detail text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  here pg_lsn;
  version constant integer := current_setting('server_version_num')::integer;
begin
  here := case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end;
  return query
    select 'peer', coalesce(nullif(r.application_name, ''), r.pid::text), r.state, r.sync_state,
           pg_wal_lsn_diff(here, r.replay_lsn)::bigint, extract(epoch from r.replay_lag)::double precision,
           extract(epoch from clock_timestamp() - r.reply_time)::double precision, null::bigint, null::text,
           null::double precision, null::text
    from pg_stat_replication as r;

  return query execute format($q$
    select 'slot', s.slot_name::text, case when s.active then 'active' else 'inactive' end, s.slot_type, null::bigint,
           null::double precision, null::double precision, pg_wal_lsn_diff($1, s.restart_lsn)::bigint, s.wal_status,
           %s, %s
    from pg_replication_slots as s
  $q$, case when version >= 170000 then 'extract(epoch from clock_timestamp() - s.inactive_since)::double precision'
            else 'null::double precision' end,  -- before 17 nobody writes down since when
       case when version >= 170000 then 's.invalidation_reason' else 'null::text' end)
  using here;

  if pg_is_in_recovery() then
    return query
      select 'receiver', coalesce(w.sender_host, 'none'), coalesce(w.status, 'not streaming'), null::text,
             pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint,
             case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() and w.status = 'streaming' then 0
                  else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::double precision end,
             extract(epoch from clock_timestamp() - w.last_msg_receipt_time)::double precision, null::bigint, null::text,
             null::double precision, null::text
      from (select) as one left join pg_stat_wal_receiver as w on true;
  end if;

  return query
    select 'archiver', current_setting('archive_mode'),
           case when current_setting('archive_mode') = 'off' then 'off'
                when a.last_failed_time > coalesce(a.last_archived_time, '-infinity') then 'failing'
                when a.last_archived_time is null then 'unknown' else 'archiving' end,
           null::text, null::bigint, null::double precision,
           extract(epoch from clock_timestamp() - a.last_archived_time)::double precision, null::bigint, null::text,
           null::double precision, a.failed_count || ' failures'
    from pg_stat_archiver as a;
end
$$;
comment on function ops.get_replication_status() is 'replicas, slots, the receiver of a replica, and the archiver';

-- -- who may ------------------------------------------------------------------------------------------------------
revoke all on ops.maintenance_requests, ops.executed_migrations, ops.backup_records
  from public, anon, authenticated, service_role;
grant select on ops.maintenance_requests, ops.executed_migrations, ops.backup_records to service_role, pg_read_all_stats;
revoke all on function
    ops.counted_since(), ops.redacted(text), ops.relations_being_changed(), ops.named_table(text),
    ops.get_connection_stats(), ops.get_performance_stats(), ops.get_slow_queries(integer, double precision, bigint),
    ops.get_table_sizes(integer, boolean), ops.get_index_usage(integer), ops.get_unused_indexes(interval, bigint, bigint),
    ops.analyze_table(text, integer), ops.vacuum_analyze_table(text), ops.update_table_statistics(integer, integer),
    ops.execute_migration(text, text, text, integer), ops.get_database_size(), ops.get_last_backup_time(),
    ops.get_blocking_tree(), ops.get_maintenance_candidates(integer), ops.get_schema_issues(), ops.get_replication_status()
  from public;
grant execute on function
    ops.get_connection_stats(), ops.get_performance_stats(), ops.get_slow_queries(integer, double precision, bigint),
    ops.get_table_sizes(integer, boolean), ops.get_index_usage(integer), ops.get_unused_indexes(interval, bigint, bigint),
    ops.get_database_size(), ops.get_last_backup_time(), ops.get_blocking_tree(), ops.get_maintenance_candidates(integer),
    ops.get_schema_issues(), ops.get_replication_status()
  to service_role, pg_read_all_stats;
grant execute on function
    ops.analyze_table(text, integer), ops.vacuum_analyze_table(text), ops.update_table_statistics(integer, integer)
  to service_role;
