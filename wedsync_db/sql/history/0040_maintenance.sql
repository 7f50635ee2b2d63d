-- What the nights did: how long each table took is what the next night plans with, and what was found in the schema is what
-- the next one compares with.
create table history.maintenance (
  environment text not null,
  started_at timestamptz not null,
  finished_at timestamptz not null,
  outcome text not null,  -- done, yielded, failed
  backup_id text,
  summary text not null,
  primary key (environment, started_at)
);
comment on table history.maintenance is 'how each night ended';

create table history.maintenance_work (
  environment text not null,
  started_at timestamptz not null,  -- of the night
  table_name text not null,
  action text not null,
  outcome text not null,
  seconds double precision not null,
  dead_before bigint,
  dead_after bigint,
  xid_age_before bigint,
  xid_age_after bigint,
  detail text not null default '',
  primary key (environment, started_at, table_name, action)
);
create index maintenance_work_table_idx on history.maintenance_work (environment, table_name, action, started_at desc);
comment on table history.maintenance_work is 'what was done to each table, and what it came to';

create table history.schema_finding (
  environment text not null,
  rule text not null,
  message text not null check (length(message) <= 1000),
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  primary key (environment, rule, message)
);
comment on table history.schema_finding is 'what was found in the schema; last_seen before the last night: it is gone';
