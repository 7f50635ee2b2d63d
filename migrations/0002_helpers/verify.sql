-- a fixed search_path on every function of ours
select pg_catalog.count(*) = 5 as functions_have_a_fixed_search_path
from pg_catalog.pg_proc as p
where p.oid = any (array['app.uuid_v7()', 'app.tz_ok(text)', 'app.currency_ok(text)', 'app.touch_updated_at()',
                         'app.keep_tenant()']::regprocedure[])
  and p.proconfig = array['search_path=pg_catalog, pg_temp'];

-- version 7, the right variant, and the time in front
select pg_catalog.substr(k.key, 15, 1) = '7'
       and pg_catalog.substr(k.key, 20, 1) in ('8', '9', 'a', 'b') as keys_are_version_7
from (select app.uuid_v7()::text as key) as k;

select app.tz_ok('Europe/London') and app.tz_ok('America/Argentina/Buenos_Aires') and app.tz_ok('UTC')
       and not app.tz_ok('Europe/Atlantis') and not app.tz_ok('Nowhere/Land3') and not app.tz_ok('')
       as time_zones_are_checked;

select app.currency_ok('GBP') and app.currency_ok('USD') and app.currency_ok('JPY') and app.currency_ok('AED')
       and not app.currency_ok('gbp') and not app.currency_ok('XAU') and not app.currency_ok('XXX')
       and not app.currency_ok('GB') and not app.currency_ok('GBP USD') and not app.currency_ok('')
       as currencies_are_checked;

select app.uuid_range(k.key, k.key, '[]') operator(pg_catalog.@>) k.key as range_holds_its_bound
from (select pg_catalog.gen_random_uuid() as key) as k;

-- nobody who has not been named: a trigger function is called by its trigger alone
select pg_catalog.bool_and(
         pg_catalog.has_function_privilege(r.name, f.name, 'execute') = (f.is_granted and r.name <> 'anon')) as granted_by_name
from (values
  ('app.uuid_v7()', true), ('app.tz_ok(text)', true), ('app.currency_ok(text)', true),
  ('app.touch_updated_at()', false), ('app.keep_tenant()', false)
) as f (name, is_granted)
cross join (values ('anon'), ('authenticated'), ('service_role')) as r (name);

-- schema app is for what is stored in tables; of schema api the platform's server side may call by name
select pg_catalog.bool_and(
         pg_catalog.has_schema_privilege(r.name, s.name, 'usage') = (s.name = 'api' and r.name = 'service_role')
         and not pg_catalog.has_schema_privilege(r.name, s.name, 'create')) as schemas_are_closed
from (values ('app'), ('api')) as s (name)
cross join (values ('anon'), ('authenticated'), ('service_role')) as r (name);
