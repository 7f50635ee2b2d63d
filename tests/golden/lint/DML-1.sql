--- bad
update app.orders set note = '';
delete from app.orders where true;
--- good
update app.orders set note = '' where id between 1 and 1000;
create table app.fresh as select 1 as id;
delete from app.fresh;
