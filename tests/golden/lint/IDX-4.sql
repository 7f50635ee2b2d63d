--- bad
select 1;
  create index concurrently orders_note on app.orders (note);
vacuum app.orders;
--- good
-- transaction: none
create index concurrently orders_note on app.orders (note);
