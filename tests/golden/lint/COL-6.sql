--- bad
alter table app.orders rename column note to remark;
alter table app.orders rename to purchases;
alter schema app rename to shop;
alter type app.kind rename value 'old' to 'new';
--- good
create table app.fresh (id int, note text);
alter table app.fresh rename column note to remark;
alter table app.fresh rename to newer;
alter table app.newer drop column id;
alter table app.orders rename constraint a to b;
