--- bad
drop index app.orders_note;
--- good
-- transaction: none
drop index concurrently app.orders_note;
--- next
create table app.fresh (id int);
create index fresh_id on app.fresh (id);
drop index app.fresh_id;
