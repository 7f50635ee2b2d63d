-- Alerts between two looks, and who does not want to hear of what for how long.
create table history.alert (
  environment text not null,
  rule text not null,
  subject text not null,
  phase text not null check (phase in ('quiet', 'firing')),
  state text not null check (state in ('healthy', 'degraded', 'unhealthy', 'unknown')),
  since timestamptz,
  seen_at timestamptz[] not null default '{}',
  seen_state text[] not null default '{}',
  calm_since timestamptz,
  missing_since timestamptz,
  notified_at timestamptz,
  primary key (environment, rule, subject)
);
comment on table history.alert is 'each rule and what it was last seen to be';

create table history.silence (
  id bigint generated always as identity primary key,
  environment text not null,
  rule text not null,     -- patterns as a shell's
  subject text not null,
  until timestamptz not null,
  reason text not null check (reason <> ''),
  author text not null check (author <> ''),
  created_at timestamptz not null default pg_catalog.clock_timestamp()
);
comment on table history.silence is 'what nobody is told of for a while, who said so, and why';
