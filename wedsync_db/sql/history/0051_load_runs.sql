-- Each run of a load test, summed up: with it any percentile of any phase can be worked out later. Tests with the same
-- fingerprint can be compared: the same work, machine and settings.
alter table history.load_test add column fingerprint text not null default '';
create index load_test_fingerprint on history.load_test (environment, fingerprint, started_at desc);
create table history.load_run (
  environment text not null,
  scenario text not null,
  started_at timestamptz not null,
  run integer not null,
  summary bytea not null,
  primary key (environment, scenario, started_at, run),
  foreign key (environment, scenario, started_at) references history.load_test on delete cascade
);
comment on table history.load_run is 'what each run of a load test measured';
