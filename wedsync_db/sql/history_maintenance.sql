-- What is remembered of the nights, in the history store.

-- name: took
-- How long each table took when it was last worked on to the end.
select distinct on (w.table_name, w.action) w.table_name, w.action, w.seconds
from history.maintenance_work as w
where w.environment = %(environment)s and w.outcome = 'done'
order by w.table_name, w.action, w.started_at desc

-- name: last_findings
-- What was found the night before.
with latest as (
  select max(m.started_at) as at from history.maintenance as m where m.environment = %(environment)s
)
select f.rule, f.message from history.schema_finding as f join latest as l on l.at = f.last_seen
where f.environment = %(environment)s

-- name: has_nights
-- Whether an earlier night is remembered: without one nothing is new.
select exists (select from history.maintenance as m where m.environment = %(environment)s)

-- name: keep_finding
-- Found again, or for the first time.
insert into history.schema_finding (environment, rule, message, first_seen, last_seen)
values (%(environment)s, %(rule)s, left(%(message)s, 1000), %(at)s, %(at)s)
on conflict (environment, rule, message) do update set last_seen = excluded.last_seen

-- name: keep_night
-- How the night ended.
insert into history.maintenance (environment, started_at, finished_at, outcome, backup_id, summary)
values (%(environment)s, %(started_at)s, %(finished_at)s, %(outcome)s, %(backup_id)s, %(summary)s)
on conflict do nothing

-- name: keep_work
-- One table of the night.
insert into history.maintenance_work (environment, started_at, table_name, action, outcome, seconds, dead_before,
  dead_after, xid_age_before, xid_age_after, detail)
values (%(environment)s, %(started_at)s, %(table)s, %(action)s, %(outcome)s, %(seconds)s, %(dead_before)s,
  %(dead_after)s, %(xid_age_before)s, %(xid_age_after)s, %(detail)s)
on conflict do nothing
