-- The ledger says what is applied, the journal says what a deployment was doing. Both live in the target, so that they
-- commit, roll back, fail over and are restored together with what they describe.
create schema if not exists wedsync_db;
revoke all on schema wedsync_db from public;
comment on schema wedsync_db is 'Bookkeeping of wedsync-db. Not part of the application''s schema; do not change by hand.';

create table wedsync_db.version (
    number integer primary key,
    installed_at timestamptz not null default pg_catalog.clock_timestamp()
);

create table wedsync_db.ledger (
    id text primary key,
    position integer not null unique check (position > 0),
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    tree_hash text not null,
    deployment_id text not null,
    applied_at timestamptz not null default pg_catalog.clock_timestamp(),
    applied_by text not null default session_user
);
comment on table wedsync_db.ledger is 'Applied migrations, one row each, written in the migration''s own transaction.';

create table wedsync_db.deployment (
    id text primary key,
    epoch integer not null default 1 check (epoch > 0),
    status text not null default 'running' check (status in ('running', 'done', 'rolled_back', 'person_needed')),
    plan_hash text not null,
    migrations text[] not null,
    atomic text not null check (atomic in ('deployment', 'migration')),
    fingerprint_before text not null,
    fingerprint_after text,
    backup_id text,
    runner text not null,
    proofs jsonb not null,
    -- which database this is: a row restored into another one, or copied by template, no longer matches and is inert
    system_identifier text not null,
    database_oid oid not null,
    timeline integer not null,
    -- which backend migrates, so that recover can end it
    backend_pid integer,
    backend_start timestamptz,
    started_at timestamptz not null default pg_catalog.clock_timestamp(),
    finished_at timestamptz,
    message text not null default '',
    check ((status = 'running') = (finished_at is null))
);
comment on table wedsync_db.deployment is 'The journal: one row per deployment, fenced by epoch.';

-- at most one deployment may be under way in a database
create unique index deployment_running on wedsync_db.deployment (system_identifier, database_oid)
    where status = 'running';

create table wedsync_db.step (
    number bigint generated always as identity primary key,
    deployment_id text not null references wedsync_db.deployment (id),
    migration text not null,
    direction text not null check (direction in ('deploy', 'revert')),
    statement integer, -- null: the migration as a whole
    status text not null check (status in ('started', 'done', 'failed')),
    sql_sha256 text not null,
    epoch integer not null,
    at timestamptz not null default pg_catalog.clock_timestamp(),
    unique nulls not distinct (deployment_id, migration, direction, statement)
);
comment on table wedsync_db.step is 'The journal''s steps: a migration, or one statement of a non-transactional file.';

revoke all on all tables in schema wedsync_db from public;
