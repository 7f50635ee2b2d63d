-- Alerts and silences in the history store.

-- name: alone
-- One look at an environment at a time may go on from what was remembered.
select pg_catalog.pg_advisory_xact_lock(1464157267, pg_catalog.hashtext('alerts of ' || %(environment)s))

-- name: alerts
-- What is remembered of an environment.
select a.rule, a.subject, a.phase, a.state, a.since, a.seen_at, a.seen_state, a.calm_since, a.missing_since, a.notified_at
from history.alert as a where a.environment = %(environment)s

-- name: forget
-- All of it is written again: what is not, is over.
delete from history.alert as a where a.environment = %(environment)s

-- name: remember
-- One of them.
insert into history.alert (environment, rule, subject, phase, state, since, seen_at, seen_state, calm_since, missing_since,
                           notified_at)
values (%(environment)s, %(rule)s, %(subject)s, %(phase)s, %(state)s, %(since)s, %(seen_at)s, %(seen_state)s,
        %(calm_since)s, %(missing_since)s, %(notified_at)s)

-- name: silences
-- Those that still hold.
select s.rule, s.subject, s.until, s.reason, s.author from history.silence as s
where s.environment = %(environment)s and s.until > %(now)s order by s.until

-- name: silence
-- Never for ever.
insert into history.silence (environment, rule, subject, until, reason, author)
values (%(environment)s, %(rule)s, %(subject)s, %(until)s, %(reason)s, %(author)s)

-- name: told
-- What people are told of, for the report of the day.
insert into history.alert_event (environment, at, rule, subject, what, state, evidence)
values (%(environment)s, %(at)s, %(rule)s, %(subject)s, %(what)s, %(state)s, left(%(evidence)s, 500))
on conflict do nothing

-- name: forget_told
-- What no report goes back to.
delete from history.alert_event as e where e.environment = %(environment)s and e.at < %(before)s
