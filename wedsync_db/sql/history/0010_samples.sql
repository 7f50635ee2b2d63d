-- Metrics over time. A sample is one array of values: a row for each value would take nine times the room. What the values
-- are is said once, by the set; a table of the target has a set of its own, so that one that did nothing costs nothing.
create table history.metric_set (
  id bigint generated always as identity primary key,
  environment text not null,
  tier text not null,
  subject text not null default '',  -- the table that it is about
  names text[] not null,
  kinds text[] not null,
  units text[] not null,
  labels jsonb not null,             -- an array: for each value its labels, as pairs
  unique nulls not distinct (environment, tier, subject, names, kinds, units, labels)
);
comment on table history.metric_set is 'what the values of a sample are, in their order';

create table history.metric_sample (
  set_id bigint not null,
  at timestamptz not null,
  epoch text not null,               -- nothing is subtracted across two of them
  "values" double precision[] not null,
  problems text[] not null default '{}',
  primary key (set_id, at)
) partition by range (at);
comment on table history.metric_sample is 'raw samples, a partition for each day (UTC), made ahead and dropped whole';

create table history.metric_rollup (
  step text not null check (step in ('hour', 'day')),
  set_id bigint not null,
  at timestamptz not null,           -- when the hour or the day began, in UTC
  samples integer not null,
  minimum double precision[] not null,
  average double precision[] not null,
  maximum double precision[] not null,
  last double precision[] not null,  -- the newest that is known; what counters are read by
  primary key (step, set_id, at)
);
create index metric_rollup_at_idx on history.metric_rollup (step, at);
comment on table history.metric_rollup is 'samples by hour and by day';
