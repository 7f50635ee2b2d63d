-- Load tests in the history store.

-- name: keep
-- Write one down, once.
insert into history.load_test
  (environment, scenario, started_at, verdict, server, pool, seed, migrations, sha256, results, fingerprint)
values
  (%(environment)s, %(scenario)s, %(started_at)s, %(verdict)s, %(server)s, %(pool)s, %(seed)s, %(migrations)s,
   %(sha256)s, %(results)s, %(fingerprint)s)
on conflict do nothing

-- name: newest
-- The newest of a scenario; pgbench looks at no rows, so that what it passes may show some to whom they do not belong.
select t.verdict, t.migrations, t.sha256
from history.load_test as t
where t.environment = %(environment)s and t.scenario = %(scenario)s
  and coalesce(t.results ->> 'engine', 'threads') = 'threads'
order by t.started_at desc
limit 1

-- name: keep_run
-- Write one of its runs down, once.
insert into history.load_run (environment, scenario, started_at, run, summary)
values (%(environment)s, %(scenario)s, %(started_at)s, %(run)s, %(summary)s)
on conflict do nothing

-- name: forget_runs
-- The runs of old tests; what they came to stays.
delete from history.load_run as r where r.environment = %(environment)s and r.started_at < %(before)s

-- name: earlier
-- The newest runs of tests that passed, with the same fingerprint, and each test's migrations.
select r.summary, r.started_at, t.migrations
from history.load_run as r
join history.load_test as t using (environment, scenario, started_at)
where t.environment = %(environment)s and t.fingerprint = %(fingerprint)s and t.verdict = 'PASS'
order by r.started_at desc, r.run
limit %(most)s
