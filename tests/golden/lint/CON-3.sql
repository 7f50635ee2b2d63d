--- bad
alter table app.orders add constraint one unique (tenant, number);
alter table app.orders add column code text unique;
--- good
-- transaction: none
create unique index concurrently one on app.orders (tenant, number);
--- next
alter table app.orders add constraint one unique using index one;
