-- Load tests: what was found with which migrations. A promotion asks for it, and the next test compares with it.
create table history.load_test (
  environment text not null,
  scenario text not null,
  started_at timestamptz not null,
  verdict text not null check (verdict in ('PASS', 'FAIL', 'INCONCLUSIVE', 'INVALID')),
  server text not null,
  pool integer not null,
  seed bigint not null,
  migrations text[] not null,
  sha256 text[] not null,            -- of each migration's deploy.sql, in the order of their names
  results jsonb not null,            -- each condition with its value in each run
  primary key (environment, scenario, started_at),
  check (cardinality(migrations) = cardinality(sha256))
);
comment on table history.load_test is 'what each load test came to';
