--- bad
begin;
alter table app.orders add column note text;
commit;
--- good
alter table app.orders add column note text;
