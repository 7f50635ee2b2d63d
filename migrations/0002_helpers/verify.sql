-- a fixed search_path on every function of ours
select pg_catalog.count(*) = 3 as functions_have_a_fixed_search_path
from pg_catalog.pg_proc as p
where p.oid in ('app.uuid_v7()'::regprocedure, 'app.tz_ok(text)'::regprocedure, 'app.touch_updated_at()'::regprocedure)
  and p.proconfig = array['search_path=pg_catalog, pg_temp'];

-- version 7, the right variant, and the time in front
select pg_catalog.substr(k.key, 15, 1) = '7'
       and pg_catalog.substr(k.key, 20, 1) in ('8', '9', 'a', 'b') as keys_are_version_7
from (select app.uuid_v7()::text as key) as k;

select app.tz_ok('Europe/London') and app.tz_ok('America/Argentina/Buenos_Aires') and app.tz_ok('UTC')
       and not app.tz_ok('Europe/Atlantis') and not app.tz_ok('Nowhere/Land3') and not app.tz_ok('') as time_zones_are_checked;

select app.uuid_range(k.key, k.key, '[]') operator(pg_catalog.@>) k.key as range_holds_its_bound
from (select pg_catalog.gen_random_uuid() as key) as k;

-- nobody who has not been named
select not pg_catalog.has_schema_privilege('anon', 'app', 'usage')
       and not pg_catalog.has_schema_privilege('authenticated', 'app', 'usage')
       and not pg_catalog.has_function_privilege('anon', 'app.uuid_v7()', 'execute')
       and pg_catalog.has_function_privilege('authenticated', 'app.uuid_v7()', 'execute')
       and pg_catalog.has_function_privilege('authenticated', 'app.tz_ok(text)', 'execute') as granted_by_name;
