--- bad
alter table app.orders
  add constraint positive check (amount > 0),
  add foreign key (tenant) references app.tenants;
--- good
alter table app.orders add constraint positive check (amount > 0) not valid;
alter table app.orders add constraint tenant foreign key (tenant) references app.tenants not valid;
--- next
alter table app.orders validate constraint positive;
--- next
create table app.fresh (id int);
alter table app.fresh add check (id > 0);
