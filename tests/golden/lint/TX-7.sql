--- bad
set search_path = app, public;
set role someone;
reset all;
select pg_catalog.set_config('search_path', 'app', false);
--- good
set local search_path = app, public;
select pg_catalog.set_config('search_path', 'app', true);
