--- bad
alter table app.orders add column size int check (size > 0);
alter table app.orders add column tenant int references app.tenants;
--- good
alter table app.orders add column size int;
alter table app.orders add constraint sized check (size > 0) not valid;
