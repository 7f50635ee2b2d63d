-- Statements by pg_stat_statements, and what is kept of them in the history store.

-- name: extension
-- Where it lives and which version: its columns follow that, not the server's. Its settings are there when it is preloaded.
select n.nspname::text, e.extversion, pg_catalog.current_setting('pg_stat_statements.max', true) is not null
from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
where e.extname = 'pg_stat_statements'

-- name: info
-- Since when it counts, and how many entries had to go for new ones.
select pg_catalog.md5(pg_catalog.concat_ws('/', s.system_identifier, i.stats_reset)), i.dealloc
from {home}.pg_stat_statements_info as i cross join pg_catalog.pg_control_system() as s

-- name: counters
-- Of this database, or of the one named: each statement over all users and levels. Without texts, which are read from a file.
-- NULL: what this role is not shown.
select coalesce(s.queryid, 0), pg_catalog.sum(s.calls)::float8, pg_catalog.sum(s.total_exec_time) / 1000,
       pg_catalog.sum(s.rows)::float8, pg_catalog.sum(s.shared_blks_hit)::float8, pg_catalog.sum(s.shared_blks_read)::float8,
       pg_catalog.sum(s.{read_time}) / 1000, pg_catalog.sum(s.temp_blks_written)::float8, pg_catalog.sum(s.wal_bytes)::float8
from {home}.pg_stat_statements(false) as s
where s.dbid = (select d.oid from pg_catalog.pg_database as d
                where d.datname = coalesce(%(database)s::text, pg_catalog.current_database()))
group by coalesce(s.queryid, 0)

-- name: texts
-- Of those that nobody has yet.
select s.queryid, pg_catalog.min(s.query) from {home}.pg_stat_statements(true) as s
where s.queryid = any (%(queryids)s::bigint[])
  and s.dbid = (select d.oid from pg_catalog.pg_database as d
                where d.datname = coalesce(%(database)s::text, pg_catalog.current_database()))
group by s.queryid

-- name: newest
-- The counters to subtract.
select c.at, c.epoch, c.evictions, c.queryids, c.counters from history.statement_counter as c
where c.environment = %(environment)s

-- name: remember
-- These are the ones to subtract from now on.
insert into history.statement_counter (environment, at, epoch, evictions, queryids, counters)
values (%(environment)s, %(at)s, %(epoch)s, %(evictions)s, %(queryids)s, %(counters)s)
on conflict (environment) do update set at = excluded.at, epoch = excluded.epoch, evictions = excluded.evictions,
  queryids = excluded.queryids, counters = excluded.counters

-- name: put
-- What was added in between.
insert into history.statement_sample (environment, at, seconds, queryids, calls, execution_seconds, rows, blocks_hit,
  blocks_read, read_seconds, temporary_blocks, wal_bytes, evicted)
values (%(environment)s, %(at)s, %(seconds)s, %(queryids)s, %(calls)s, %(execution_seconds)s, %(rows)s, %(blocks_hit)s,
  %(blocks_read)s, %(read_seconds)s, %(temporary_blocks)s, %(wal_bytes)s, %(evicted)s)
on conflict do nothing

-- name: seen
-- Which of these have a text, and that they were seen again.
update history.statement as s set last_seen = greatest(s.last_seen, %(at)s)
where s.environment = %(environment)s and s.queryid = any (%(queryids)s::bigint[]) returning s.queryid

-- name: put_text
-- A statement's text, once.
insert into history.statement (environment, queryid, text, first_seen, last_seen)
values (%(environment)s, %(queryid)s, %(text)s, %(at)s, %(at)s) on conflict do nothing

-- name: forget
-- What is older than it is kept.
with old as (
  delete from history.statement_sample as s where s.at < %(before)s
)
delete from history.statement as t where t.last_seen < %(before)s

-- name: top
-- The statements that took longest between two times, and their share of all of it; the others are 0.
with each as (
  select u.queryid, pg_catalog.sum(u.calls) as calls, pg_catalog.sum(u.seconds) as seconds, pg_catalog.sum(u.rows) as rows,
         pg_catalog.sum(u.hit) as hit, pg_catalog.sum(u.read) as read
  from history.statement_sample as s
  cross join lateral rows from (
    pg_catalog.unnest(s.queryids), pg_catalog.unnest(s.calls), pg_catalog.unnest(s.execution_seconds),
    pg_catalog.unnest(s.rows), pg_catalog.unnest(s.blocks_hit), pg_catalog.unnest(s.blocks_read)
  ) as u (queryid, calls, seconds, rows, hit, read)
  where s.environment = %(environment)s and s.at >= %(since)s and s.at < %(until)s
  group by u.queryid
)
select e.queryid, t.text, e.calls, e.seconds, e.rows, e.hit, e.read,
       e.seconds / nullif(pg_catalog.sum(e.seconds) over (), 0)
from each as e left join history.statement as t on t.environment = %(environment)s and t.queryid = e.queryid
order by e.queryid = 0, e.seconds desc, e.queryid
