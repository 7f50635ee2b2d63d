--- bad
alter table app.orders drop column note, drop column size cascade;
--- good
create table app.fresh (id int, note text);
alter table app.fresh drop column note;
