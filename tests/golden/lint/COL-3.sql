--- bad
alter table app.orders add column number bigint generated always as identity;
alter table app.orders add column total int generated always as (amount * 2) stored;
alter table app.orders add column n serial;
--- good
alter table app.orders add column total int generated always as (amount * 2) virtual;
