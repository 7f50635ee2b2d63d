--- bad
create index orders_note on app.orders (note);
--- good
-- transaction: none
create index concurrently orders_note on app.orders (note);
--- next
create table app.fresh (id int);
create index fresh_id on app.fresh (id);
create index parted_id on only app.parted (id);
