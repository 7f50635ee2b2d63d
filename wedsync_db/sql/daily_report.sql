-- What the daily report shows, out of the history store.

-- name: sets
-- The sets of a tier that are not about one table: the places of the series in their arrays.
select s.id, s.names, s.kinds, s.units, s.labels from history.metric_set as s
where s.environment = %(environment)s and s.tier = %(tier)s and s.subject = '' and exists (
  select from history.metric_sample as m where m.set_id = s.id and m.at >= %(since)s and m.at < %(until)s)
order by s.id

-- name: backups
-- Those that were made or were still there, oldest first.
select b.id, b.state, b.created_at, b.verified_at, b.drilled_at, b.stored_bytes, b.deleted_at, b.problem
from history.backup as b
where b.environment = %(environment)s and b.created_at < %(until)s
  and (b.created_at >= %(since)s or b.deleted_at is null)
order by b.created_at, b.id

-- name: drills
-- Each restore that was tried.
select d.at, d.backup_id, d.outcome, d.recovery_seconds, d.data_age_seconds, d.problem from history.drill as d
where d.environment = %(environment)s and d.at >= %(since)s and d.at < %(until)s
order by d.at, d.backup_id

-- name: nights
-- How each night ended.
select m.started_at, m.finished_at, m.outcome, m.summary from history.maintenance as m
where m.environment = %(environment)s and m.started_at >= %(since)s and m.started_at < %(until)s
order by m.started_at

-- name: work
-- What they did, by action and outcome.
select w.started_at, w.action, w.outcome, pg_catalog.count(*), pg_catalog.sum(w.seconds)::double precision
from history.maintenance_work as w
where w.environment = %(environment)s and w.started_at >= %(since)s and w.started_at < %(until)s
group by w.started_at, w.action, w.outcome order by 1, 2, 3

-- name: findings
-- What the newest night found in the schema, and what it did not find any more that the one before it had found.
with night as (
  select m.started_at as at, pg_catalog.row_number() over (order by m.started_at desc) as place
  from history.maintenance as m where m.environment = %(environment)s and m.started_at < %(until)s
)
select f.rule, f.message, f.first_seen, f.last_seen = (select n.at from night as n where n.place = 1)
from history.schema_finding as f
where f.environment = %(environment)s and f.last_seen in (select n.at from night as n where n.place <= 2)
order by f.first_seen desc, f.rule, f.message limit 500

-- name: alerts
-- What fires, and since when.
select a.rule, a.subject, a.state, a.since from history.alert as a
where a.environment = %(environment)s and a.phase = 'firing' order by a.since, a.rule, a.subject

-- name: events
-- What people were told, or would have been but for a silence.
select e.at, e.rule, e.subject, e.what, e.state, e.evidence from history.alert_event as e
where e.environment = %(environment)s and e.at >= %(since)s and e.at < %(until)s
order by e.at, e.rule, e.subject

-- name: unread
-- What could not be measured, the newest first.
select p.problem from history.metric_set as s
join history.metric_sample as m on m.set_id = s.id and m.at >= %(since)s and m.at <= %(until)s
cross join lateral pg_catalog.unnest(m.problems) as p (problem)
where s.environment = %(environment)s and s.subject = ''
group by p.problem order by pg_catalog.max(m.at) desc, p.problem limit 20
