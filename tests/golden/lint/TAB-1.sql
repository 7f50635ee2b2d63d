--- bad
drop table if exists app.orders, app.lines cascade;
--- good
create table app.fresh (id int);
drop table app.fresh;
alter table app.orders add column note text;
