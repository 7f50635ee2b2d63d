-- name: record
-- One decision; it gets its number so that what was at risk can be added when it is known.
insert into wedsync_db.decision (kind, what, reason, decided_by, deployment_id, at_risk)
values (%(kind)s, %(what)s, %(reason)s, %(decided_by)s, %(deployment)s, %(at_risk)s)
returning number

-- name: add_risks
-- What turned out to be at risk on the way.
update wedsync_db.decision set at_risk = at_risk || %(at_risk)s::text[] where number = %(number)s

-- name: decisions
-- All of them, oldest first.
select at, kind, what, reason, decided_by, deployment_id, at_risk from wedsync_db.decision order by number
