--- bad
truncate app.orders, app.lines;
truncate app.tenants cascade;
--- good
create table app.fresh (id int);
truncate app.fresh;
