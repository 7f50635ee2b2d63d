-- name: begin
-- Whatever the role's defaults are: under a fixed snapshot a migration would not see what it waited for.
begin isolation level read committed

-- name: commit
-- The end of one group.
commit

-- name: rollback
-- Nothing of the group stays.
rollback

-- name: check_constraints
-- Deferred constraints speak here, where the error can still be said, and not in COMMIT.
set constraints all immediate

-- name: lock_timeout
-- What is in force now.
select pg_catalog.current_setting('lock_timeout')

-- name: set_lock_timeout
-- 0 for CREATE INDEX CONCURRENTLY, which waits for unrelated snapshots but in nobody's way; then back to what it was.
select pg_catalog.set_config('lock_timeout', %s, false)
