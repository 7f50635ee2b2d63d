-- What the folders of backups hold, and what became of those that are gone. An index: the manifests and the notes beside
-- them are the truth, and `rebuild` reads it again.
create table history.backup (
  environment text not null,
  id text not null,
  state text not null check (state in ('started', 'complete', 'verified', 'restored', 'failed')),
  created_at timestamptz not null,
  finished_at timestamptz,
  verified_at timestamptz,           -- when its files were last read back and were right
  drilled_at timestamptz,            -- when it was last restored and compared, and was right
  dump_seconds double precision,
  recovery_seconds double precision, -- of that drill: until it was restored and compared (RTO)
  data_age_seconds double precision, -- of that drill: from the snapshot to its start (RPO)
  stored_bytes bigint,
  database_bytes bigint,
  relations integer,
  rows bigint,
  key_id text,
  location text,
  problem text not null default '',
  deleted_at timestamptz,
  deleted_because text,
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (environment, id)
);
create index backup_created_at_idx on history.backup (created_at);
comment on table history.backup is 'the backups of every environment, and how far each is proven';

create table history.drill (
  environment text not null,
  backup_id text not null,
  at timestamptz not null,
  outcome text not null check (outcome in ('restored', 'failed', 'inconclusive')),
  recovery_seconds double precision,
  data_age_seconds double precision,
  problem text not null default '',
  primary key (environment, at, backup_id)
);
comment on table history.drill is 'each restore that was tried out, and how it ended';
