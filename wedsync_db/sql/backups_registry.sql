-- name: begin
-- a backup is being made; its folder does not exist yet under this name
insert into history.backup (environment, id, state, created_at) values (%(environment)s, %(id)s, 'started', %(at)s)
on conflict (environment, id) do nothing

-- name: fail
-- it was not made, and nothing of it is left
update history.backup set state = 'failed', problem = %(problem)s, recorded_at = clock_timestamp()
where environment = %(environment)s and id = %(id)s and state = 'started'

-- name: put
-- what the folder says of one backup, in the place of whatever was known
insert into history.backup (
  environment, id, state, created_at, finished_at, verified_at, drilled_at, dump_seconds, recovery_seconds,
  data_age_seconds, stored_bytes, database_bytes, relations, rows, key_id, location, problem)
values (
  %(environment)s, %(id)s, %(state)s, %(created_at)s, %(finished_at)s, %(verified_at)s, %(drilled_at)s,
  %(dump_seconds)s, %(recovery_seconds)s, %(data_age_seconds)s, %(stored_bytes)s, %(database_bytes)s, %(relations)s,
  %(rows)s, %(key_id)s, %(location)s, %(problem)s)
on conflict (environment, id) do update set
  state = excluded.state, created_at = excluded.created_at, finished_at = excluded.finished_at,
  verified_at = excluded.verified_at, drilled_at = excluded.drilled_at, dump_seconds = excluded.dump_seconds,
  recovery_seconds = excluded.recovery_seconds, data_age_seconds = excluded.data_age_seconds,
  stored_bytes = excluded.stored_bytes, database_bytes = excluded.database_bytes, relations = excluded.relations,
  rows = excluded.rows, key_id = excluded.key_id, location = excluded.location, problem = excluded.problem,
  deleted_at = null, deleted_because = null, recorded_at = clock_timestamp()

-- name: interrupted
-- begun, and neither is anybody at it nor is there a backup of that name: its run was killed
update history.backup set state = 'failed', problem = 'its run was interrupted', recorded_at = clock_timestamp()
where environment = %(environment)s and state = 'started' and id <> all (%(known)s::text[])

-- name: gone
-- finished, and not in the folder any more; why was written down when we deleted it
update history.backup
set deleted_at = coalesce(deleted_at, clock_timestamp()), deleted_because = coalesce(deleted_because, 'not in its folder'),
    recorded_at = clock_timestamp()
where environment = %(environment)s and state not in ('started', 'failed') and deleted_at is null
  and id <> all (%(known)s::text[])

-- name: delete
-- deleted by retention, and why
update history.backup set deleted_at = %(at)s, deleted_because = %(reason)s, recorded_at = clock_timestamp()
where environment = %(environment)s and id = %(id)s

-- name: listed
-- an environment's backups that are there or are being made, and those that were not made, oldest first
select id, state, created_at, finished_at, verified_at, drilled_at, dump_seconds, recovery_seconds, data_age_seconds,
       stored_bytes, database_bytes, relations, rows, key_id, location, problem
from history.backup
where environment = %(environment)s and deleted_at is null
order by created_at, id

-- name: drill
-- one more drill
insert into history.drill (environment, backup_id, at, outcome, recovery_seconds, data_age_seconds, problem)
values (%(environment)s, %(backup_id)s, %(at)s, %(outcome)s, %(recovery_seconds)s, %(data_age_seconds)s, %(problem)s)
on conflict do nothing

-- name: pinned
-- in the target: backups that a deployment may still need which runs, or waits for a person and was followed by no good
-- one. Rows that came with a restored copy count, too: keeping too much is safe
select distinct d.backup_id
from wedsync_db.deployment d
where d.backup_id is not null
  and (d.status = 'running'
       or d.status = 'person_needed' and not exists (
         select from wedsync_db.deployment l where l.started_at > d.started_at and l.status = 'done'))

-- name: has_journal
-- in the target: nothing was deployed yet where it is missing
select pg_catalog.to_regclass('wedsync_db.deployment') is not null

-- name: has_mirror
-- in the target: the table that ops.get_last_backup_time() answers from
select pg_catalog.to_regclass('ops.backup_records') is not null

-- name: mirror
-- in the target; its verified_at means restored and compared
insert into ops.backup_records (id, kind, status, finished_at, verified_at, size_bytes, sha256, location)
values (%(id)s, 'logical', %(state)s, %(finished_at)s, %(drilled_at)s, %(stored_bytes)s, %(sha256)s, %(location)s)
on conflict (id) do update set
  status = excluded.status, finished_at = excluded.finished_at, verified_at = excluded.verified_at,
  size_bytes = excluded.size_bytes, sha256 = excluded.sha256, location = excluded.location,
  recorded_at = clock_timestamp()
