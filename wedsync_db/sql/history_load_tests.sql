-- Load tests in the history store.

-- name: keep
-- Write one down, once.
insert into history.load_test
  (environment, scenario, started_at, verdict, server, pool, seed, migrations, sha256, results)
values
  (%(environment)s, %(scenario)s, %(started_at)s, %(verdict)s, %(server)s, %(pool)s, %(seed)s, %(migrations)s,
   %(sha256)s, %(results)s)
on conflict do nothing

-- name: newest
-- The newest of a scenario.
select t.verdict, t.migrations, t.sha256
from history.load_test as t
where t.environment = %(environment)s and t.scenario = %(scenario)s
order by t.started_at desc
limit 1
