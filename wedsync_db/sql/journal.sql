-- name: begin
-- The server makes the id and says which database this is, so that no clock and no client has to be believed.
insert into wedsync_db.deployment
    (id, plan_hash, migrations, atomic, fingerprint_before, backup_id, runner, proofs, approval, system_identifier, database_oid, timeline)
select
    pg_catalog.to_char(pg_catalog.clock_timestamp() at time zone 'UTC', 'YYYYMMDD"T"HH24MISS"Z"')
        || '-' || pg_catalog.left(pg_catalog.gen_random_uuid()::text, 4),
    %(plan_hash)s, %(migrations)s, %(atomic)s, %(fingerprint_before)s, %(backup_id)s, %(runner)s, %(proofs)s, %(approval)s,
    s.system_identifier::text, d.oid, c.timeline_id
from pg_catalog.pg_control_system() as s, pg_catalog.pg_control_checkpoint() as c, pg_catalog.pg_database as d
where d.datname = pg_catalog.current_database()
returning id, epoch, status, plan_hash, atomic, fingerprint_before, backup_id, runner, started_at, finished_at, message

-- name: own_backend
-- This very session; its start time tells it from a later backend with the same pid.
select a.pid, a.backend_start from pg_catalog.pg_stat_activity as a where a.pid = pg_catalog.pg_backend_pid()

-- name: attach
-- Which backend migrates.
update wedsync_db.deployment
set backend_pid = %(pid)s, backend_start = %(start)s
where id = %(id)s and epoch = %(epoch)s and status = 'running'

-- name: hold
-- The fence: whoever raises the epoch waits for this row lock, or finds it gone with our transaction.
select epoch, status from wedsync_db.deployment where id = %s for no key update

-- name: deployment
-- One deployment by its id.
select id, epoch, status, plan_hash, atomic, fingerprint_before, backup_id, runner, started_at, finished_at, message
from wedsync_db.deployment
where id = %s

-- name: unfinished
-- Only of this very database: a row that came with a restored or copied one describes another. The timeline does not
-- count, because after a failover the promoted server is still the same database and has to be recovered.
select d.id, d.epoch, d.status, d.plan_hash, d.atomic, d.fingerprint_before, d.backup_id, d.runner, d.started_at, d.finished_at, d.message
from wedsync_db.deployment as d
join pg_catalog.pg_database as p on p.oid = d.database_oid and p.datname = pg_catalog.current_database()
join pg_catalog.pg_control_system() as s on s.system_identifier::text = d.system_identifier
where d.status = 'running'
order by d.started_at

-- name: raise_epoch
-- Takes a deployment over from a runner that is gone, or is to be gone.
update wedsync_db.deployment
set epoch = epoch + 1, backend_pid = null, backend_start = null, runner = coalesce(%(runner)s, runner)
where id = %(id)s and epoch = %(epoch)s and status = 'running'
returning id, epoch, status, plan_hash, atomic, fingerprint_before, backup_id, runner, started_at, finished_at, message

-- name: finish
-- Ends a deployment, under its epoch.
update wedsync_db.deployment
set status = %(status)s, message = %(message)s, fingerprint_after = %(fingerprint_after)s,
    finished_at = pg_catalog.clock_timestamp(), backend_pid = null, backend_start = null
where id = %(id)s and epoch = %(epoch)s and status = 'running'

-- name: proofs
-- What the rehearsal proved, kept so that recover can license a revert without the rehearsal at hand.
select proofs from wedsync_db.deployment where id = %s

-- name: migrations
-- The plan of a deployment: the ids in the order in which they were to run.
select migrations from wedsync_db.deployment where id = %s

-- name: start_step
-- Before a statement or a migration; a second try starts the same step again, and what stood there before the first
-- stays noted. Only under the deployment's epoch.
insert into wedsync_db.step (deployment_id, migration, direction, statement, status, sql_sha256, epoch, there_before)
select d.id, %(migration)s, %(direction)s, %(statement)s, 'started', %(sql_sha256)s, d.epoch, %(there_before)s::oid[]
from wedsync_db.deployment as d
where d.id = %(id)s and d.epoch = %(epoch)s and d.status = 'running'
on conflict (deployment_id, migration, direction, statement) do update
set status = 'started', sql_sha256 = excluded.sql_sha256, epoch = excluded.epoch, at = pg_catalog.clock_timestamp()

-- name: tries
-- What stood there before each try of this very statement in this very database: a copy's oids mean nothing here.
select s.there_before
from wedsync_db.step as s
join wedsync_db.deployment as d on d.id = s.deployment_id
join pg_catalog.pg_database as p on p.oid = d.database_oid and p.datname = pg_catalog.current_database()
join pg_catalog.pg_control_system() as c on c.system_identifier::text = d.system_identifier
where s.migration = %(migration)s and s.direction = %(direction)s and s.statement is not null
  and s.sql_sha256 = %(sql_sha256)s and s.there_before is not null
  and s.deployment_id = coalesce(%(deployment)s, s.deployment_id)

-- name: roll_back
-- Its roll back begins, or goes on.
update wedsync_db.deployment
set rolling_back_since = coalesce(rolling_back_since, pg_catalog.clock_timestamp())
where id = %(id)s and epoch = %(epoch)s and status = 'running'

-- name: rolling_back
-- Read by way of JSON, as status has to be able to look at a journal that an earlier version made.
select pg_catalog.to_jsonb(d) ->> 'rolling_back_since' is not null
from wedsync_db.deployment as d
where d.id = %s

-- name: finish_step
-- After it.
update wedsync_db.step
set status = %(status)s, at = pg_catalog.clock_timestamp()
where deployment_id = %(id)s and migration = %(migration)s and direction = %(direction)s
  and statement is not distinct from %(statement)s

-- name: done_steps
-- The whole migrations of one transaction at once.
insert into wedsync_db.step (deployment_id, migration, direction, status, sql_sha256, epoch)
select %(id)s, m.id, %(direction)s, 'done', m.sha256, %(epoch)s
from unnest(%(migrations)s::text[], %(sha256)s::text[]) with ordinality as m (id, sha256, number)
order by m.number
on conflict (deployment_id, migration, direction, statement) do update
set status = 'done', epoch = excluded.epoch, at = pg_catalog.clock_timestamp()

-- name: steps
-- Everything a deployment did, in order.
select deployment_id, migration, direction, statement, status, sql_sha256, at
from wedsync_db.step
where deployment_id = %s
order by number

-- name: attached
-- The backend that migrates under this epoch: that of whoever took over is none of ours to end.
select backend_pid, backend_start
from wedsync_db.deployment
where id = %(id)s and epoch = %(epoch)s and backend_pid <> pg_catalog.pg_backend_pid()

-- name: lives
-- Whether it is still that one.
select pg_catalog.count(*) > 0 from pg_catalog.pg_stat_activity where pid = %s and backend_start = %s

-- name: terminate
-- The same role may; others need pg_signal_backend.
select pg_catalog.pg_terminate_backend(%s)
