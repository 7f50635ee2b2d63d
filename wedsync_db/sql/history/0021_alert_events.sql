-- What people were told of, and when: `history.alert` only knows how it is now.
create table history.alert_event (
  environment text not null,
  at timestamptz not null,
  rule text not null,
  subject text not null,
  what text not null check (what in ('firing', 'worse', 'still firing', 'resolved')),
  state text not null check (state in ('healthy', 'degraded', 'unhealthy', 'unknown')),
  evidence text not null default '',
  primary key (environment, at, rule, subject, what)
);
comment on table history.alert_event is 'each time people were told of an alert';
