--- bad
alter table app.orders add column key uuid default gen_random_uuid();
--- good
alter table app.orders add column at timestamptz not null default now();
alter table app.orders add column kind text not null default 'plain';
alter table app.orders add column key uuid;
alter table app.orders alter column key set default gen_random_uuid();
