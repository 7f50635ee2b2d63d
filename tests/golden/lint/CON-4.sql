--- bad
alter table app.orders add primary key (id);
--- good
alter table app.orders add constraint orders_pkey primary key using index orders_pkey;
