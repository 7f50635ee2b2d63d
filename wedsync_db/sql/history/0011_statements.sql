-- Statements over time, by pg_stat_statements. Texts are kept once, what they cost as one row of arrays for each sample: what
-- each grew by since the sample before, those that took longest, and all others together.
create table history.statement (
  environment text not null,
  queryid bigint not null,
  text text not null,                -- without what stands in quotes
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  primary key (environment, queryid)
);
comment on table history.statement is 'what the statements are, each once';

create table history.statement_sample (
  environment text not null,
  at timestamptz not null,
  seconds double precision not null, -- since the sample before
  queryids bigint[] not null,        -- the last is 0: all others together
  calls double precision[] not null,
  execution_seconds double precision[] not null,
  rows double precision[] not null,
  blocks_hit double precision[] not null,
  blocks_read double precision[] not null,
  read_seconds double precision[] not null,
  temporary_blocks double precision[] not null,
  wal_bytes double precision[] not null,
  evicted bigint,                    -- entries that had to go for new ones in between; NULL: not known
  primary key (environment, at)
);
create index statement_sample_at_idx on history.statement_sample (at);
comment on table history.statement_sample is 'what statements cost between two looks';

create table history.statement_counter (
  environment text primary key,
  at timestamptz not null,
  epoch text not null,               -- nothing is subtracted across two of them
  evictions bigint not null,
  queryids bigint[] not null,
  counters double precision[] not null  -- those of the first, then those of the second, …
);
comment on table history.statement_counter is 'the counters of all statements as of the newest look, to subtract from the next';
