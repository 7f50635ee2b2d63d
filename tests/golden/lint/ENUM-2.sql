--- bad
alter type app.kind add value 'gift';
insert into app.orders (kind) values ('gift');
--- next
update app.orders set kind = 'gift' where id = 1;
--- good
-- transaction: none
alter type app.kind add value 'gift';
--- next
insert into app.orders (kind) values ('gift');
