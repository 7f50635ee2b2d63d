-- Deployments in the history store: what the plots are annotated with. Written in any order: an end is never undone.

-- name: begin
-- It was begun; its end may have been written first.
insert into history.deployment (environment, id, started_at, outcome, migrations, run_url)
values (%(environment)s, %(id)s, %(started_at)s, 'running', %(migrations)s, %(run_url)s)
on conflict (environment, id) do nothing

-- name: end
-- How it ended; what an earlier writer knew of it stays known.
insert into history.deployment as d (environment, id, started_at, finished_at, outcome, migrations, run_url, report_path)
values (%(environment)s, %(id)s, %(started_at)s, %(finished_at)s, %(outcome)s, %(migrations)s, %(run_url)s,
        %(report_path)s)
on conflict (environment, id) do update set
  finished_at = excluded.finished_at, outcome = excluded.outcome,
  migrations = case when excluded.migrations = '{}' then d.migrations else excluded.migrations end,
  run_url = coalesce(excluded.run_url, d.run_url), report_path = coalesce(excluded.report_path, d.report_path)

-- name: needs_person
-- Nobody is at those any more that were not ended: who recovered them holds the target, and could not go on.
update history.deployment as d set outcome = 'person_needed', finished_at = %(finished_at)s
where d.environment = %(environment)s and d.outcome = 'running'

-- name: between
-- Those that ran at any time between two, oldest first.
select d.id, d.started_at, d.finished_at, d.outcome, d.migrations, d.run_url, d.report_path
from history.deployment as d
where d.environment = %(environment)s and d.started_at < %(until)s
  and coalesce(d.finished_at, d.started_at) >= %(since)s
order by d.started_at, d.id
