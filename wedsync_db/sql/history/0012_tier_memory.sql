-- What the next look at a tier has to be told, as the look before said it: which table had done how much.
create table history.tier_memory (
  environment text not null,
  tier text not null,
  at timestamptz not null,
  memory text not null,
  primary key (environment, tier)
);
comment on table history.tier_memory is 'what looks remember from one to the next';
