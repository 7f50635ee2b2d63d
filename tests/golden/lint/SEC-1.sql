--- bad
create function app.a() returns int language sql security definer as 'select 1';
create function app.b() returns int language sql security definer set search_path = app, public as 'select 1';
create function app.c() returns int language sql security definer set search_path from current as 'select 1';
alter function app.d() security definer;
--- good
create function app.a() returns int language sql as 'select 1';
create function app.b() returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1';
create function app.c() returns int language sql security definer set search_path = '' as 'select 1';
alter function app.d() security invoker;
