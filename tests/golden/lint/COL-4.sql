--- bad
alter table app.orders alter column amount type bigint;
alter table app.orders alter column note type text;
alter table app.orders alter column note type text using upper(note);
--- good
alter table app.orders add column amount_wide bigint;
