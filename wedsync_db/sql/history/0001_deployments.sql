-- What was deployed where, for the notes on every plot and the reports of later days. The target's journal is the truth.
create table history.deployment (
  environment text not null,
  id text not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  outcome text not null,  -- running, done, rolled_back, person_needed, failed, reverted
  migrations text[] not null default '{}',
  run_url text,
  report_path text,
  primary key (environment, id)
);
create index deployment_started_at_idx on history.deployment (started_at);
comment on table history.deployment is 'how each deployment ended';
