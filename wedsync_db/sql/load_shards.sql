-- name: make
-- What the generators of a run tell each other, in the load test's own database: gone with it, and reachable for whoever
-- can reach what is tested.
create schema if not exists wedsync_load;
create table if not exists wedsync_load.run (
  ticket text primary key,
  seed bigint not null,
  shards integer not null,
  scenario jsonb not null,
  schedule text not null,
  starts_at double precision, -- Unix time, by the server's clock
  is_over boolean not null default false
);
create table if not exists wedsync_load.shard (
  ticket text not null references wedsync_load.run,
  number integer not null,
  worker text not null,
  state text not null default 'joined' check (state in ('joined', 'ready', 'done', 'failed')),
  due bigint not null default 0,
  answered bigint not null default 0,
  errors bigint not null default 0,
  p95_ms double precision,
  problem text,
  result bytea,
  primary key (ticket, number)
);
-- the keys that are held here; 1464157260 is "WEDL"
create or replace view wedsync_load.held as
select l.objid::bigint as key
from pg_catalog.pg_locks as l
where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = 1464157260
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database());

-- name: hold
-- Be the coordinator, or one shard, for as long as the session lives.
select pg_catalog.pg_try_advisory_lock(1464157260, %(key)s)

-- name: let_go
-- At once: a session's end takes a moment.
select pg_catalog.pg_advisory_unlock(1464157260, %(key)s)

-- name: is_there
-- Whether this load test has more than one generator.
select pg_catalog.to_regclass('wedsync_load.run') is not null

-- name: open
-- A new run. The scenario travels with it: every generator does the same, whatever files its machine has.
insert into wedsync_load.run (ticket, seed, shards, scenario, schedule)
values (%(ticket)s, %(seed)s, %(shards)s, %(scenario)s, %(schedule)s)

-- name: order
-- What is to be done, for as long as somebody waits for it.
select r.seed, r.shards, r.scenario, r.schedule
from wedsync_load.run as r
where r.ticket = %(ticket)s and not r.is_over
  and exists (select from wedsync_load.held as h where h.key = %(coordinator)s)

-- name: join
-- A shard is taken once: no row comes back for whoever is second.
insert into wedsync_load.shard (ticket, number, worker)
values (%(ticket)s, %(number)s, %(worker)s)
on conflict do nothing
returning number

-- name: ready
-- Its connections are there.
update wedsync_load.shard set state = 'ready' where ticket = %(ticket)s and number = %(number)s

-- name: starts
-- When to begin, once that is known, and what the server's clock says; whether it goes on, and somebody waits for it.
select r.starts_at, extract(epoch from pg_catalog.clock_timestamp())::double precision, r.is_over,
       exists (select from wedsync_load.held as h where h.key = %(coordinator)s)
from wedsync_load.run as r
where r.ticket = %(ticket)s

-- name: report
-- How far it is; whether it goes on, and somebody waits for it. One statement a second.
update wedsync_load.shard as s
set due = %(due)s, answered = %(answered)s, errors = %(errors)s, p95_ms = %(p95_ms)s
from wedsync_load.run as r
where s.ticket = %(ticket)s and s.number = %(number)s and r.ticket = s.ticket
returning r.is_over, exists (select from wedsync_load.held as h where h.key = %(coordinator)s)

-- name: give
-- What it measured.
update wedsync_load.shard set state = 'done', result = %(result)s where ticket = %(ticket)s and number = %(number)s

-- name: fail
-- Why there will be no result.
update wedsync_load.shard set state = 'failed', problem = %(problem)s
where ticket = %(ticket)s and number = %(number)s and state <> 'done'

-- name: look
-- Every shard that came, how far it is, and whether its session is still there.
select s.number, s.worker, s.state, s.due, s.answered, s.errors, s.p95_ms, s.problem,
       exists (select from wedsync_load.held as h where h.key = %(first)s + s.number)
from wedsync_load.shard as s
where s.ticket = %(ticket)s
order by s.number

-- name: begin
-- All are ready: the moment at which they begin, and how far off that is.
update wedsync_load.run
set starts_at = extract(epoch from pg_catalog.clock_timestamp())::double precision + %(lead)s
where ticket = %(ticket)s
returning starts_at - extract(epoch from pg_catalog.clock_timestamp())::double precision

-- name: stop
-- Nothing more is begun.
update wedsync_load.run set is_over = true where ticket = %(ticket)s

-- name: results
-- What all of them measured.
select s.result from wedsync_load.shard as s where s.ticket = %(ticket)s order by s.number
