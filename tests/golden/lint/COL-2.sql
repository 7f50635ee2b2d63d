--- bad
alter table app.orders add column kind text not null;
--- good
alter table app.orders add column kind text not null default 'plain';
alter table app.orders add column note text;
