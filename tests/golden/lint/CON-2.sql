--- bad
alter table app.orders add constraint positive check (amount > 0) not valid;
alter table app.orders validate constraint positive;
--- good
alter table app.orders add constraint positive check (amount > 0) not valid;
--- next
alter table app.orders validate constraint positive;
