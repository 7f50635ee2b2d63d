--- bad
alter table app.orders alter column note set not null;
alter table app.orders add constraint named not null name;
--- good
alter table app.orders add constraint noted check (note is not null) not valid;
--- next
alter table app.orders validate constraint noted;
alter table app.orders alter column note set not null;
alter table app.orders drop constraint noted;
--- next
alter table app.orders add constraint named not null name not valid;
