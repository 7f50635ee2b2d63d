-- Who allowed a deployment, kept with it: the run's own record may be on a server that is gone by then.
alter table wedsync_db.deployment add column approval jsonb;
comment on column wedsync_db.deployment.approval is
    'Who said yes, how that is known, and why; null where the environment asked nobody.';
