-- What a roll back has to know, and what was decided by whom on the way.

-- What stood there when a statement outside a transaction first began: half of what it does is told from what others
-- left half done. Null in rows of earlier versions: not known, so nothing is taken for ours.
alter table wedsync_db.step add column there_before oid[];

alter table wedsync_db.deployment add column rolling_back_since timestamptz;
comment on column wedsync_db.deployment.rolling_back_since is 'When its roll back began; null where there is none.';

create table wedsync_db.decision (
    number bigint generated always as identity primary key,
    at timestamptz not null default pg_catalog.clock_timestamp(),
    kind text not null check (kind in ('override', 'rung')),
    what text not null, -- the guard's rule, or the rung of the ladder
    reason text not null,
    decided_by text not null,
    deployment_id text references wedsync_db.deployment (id),
    at_risk text[] not null default '{}'
);
comment on table wedsync_db.decision is
    'Guards that were overridden and rungs of the ladder that were taken: who, why, at what risk. Never a row''s value.';
revoke all on wedsync_db.decision from public;
