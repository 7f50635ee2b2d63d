--- bad
-- transaction: none
create index concurrently if not exists orders_note on app.orders (note);
--- good
-- transaction: none
create index concurrently orders_note on app.orders (note);
