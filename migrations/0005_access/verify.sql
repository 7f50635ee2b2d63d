-- each table has the policies it should, for these commands (r read, a insert, w update, d delete), no more and no fewer
with expected (relation, commands) as (
  values ('public.organizations'::regclass, 'rw'), ('public.profiles', 'rw'), ('public.memberships', 'drw'),
         ('public.invitations', 'rw'), ('public.api_keys', 'rw'), ('public.weddings', 'rw'),
         ('public.wedding_people', 'adrw'), ('public.wedding_vendors', 'adrw'), ('public.wedding_events', 'adrw'),
         ('public.timeline_items', 'adrw')
)
select pg_catalog.bool_and(e.commands is not distinct from p.commands) as policies_are_complete
from expected as e
left join (
  select polrelid, pg_catalog.string_agg(polcmd::text, '' order by polcmd::text collate "C") as commands
  from pg_catalog.pg_policy
  group by polrelid
) as p on p.polrelid = e.relation;

-- each is for authenticated by name and asks in the form that keeps the tenant's index
select pg_catalog.bool_and(
         p.polroles = array['authenticated'::regrole::oid]
         and f.form ~ '= (ANY \(\( SELECT app\.|\( SELECT auth\.uid\(\))'
         and f.form !~* '\m(exists|in)\M') as policies_keep_the_index
from pg_catalog.pg_policy as p
cross join lateral (
  select pg_catalog.concat_ws(' ', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                              pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) as form
) as f
where p.polrelid in (
  'public.organizations'::regclass, 'public.profiles'::regclass, 'public.memberships'::regclass,
  'public.invitations'::regclass, 'public.api_keys'::regclass, 'public.weddings'::regclass,
  'public.wedding_people'::regclass, 'public.wedding_vendors'::regclass, 'public.wedding_events'::regclass,
  'public.timeline_items'::regclass);

-- the access functions run as their owner, with a fixed search_path, for nobody but whom they are meant for
select pg_catalog.count(*) = 2
       and pg_catalog.bool_and(p.prosecdef and p.provolatile = 's'
                               and p.proconfig is not distinct from array['search_path=pg_catalog, pg_temp']
                               and pg_catalog.has_function_privilege('authenticated', p.oid, 'execute')
                               and not pg_catalog.has_function_privilege('anon', p.oid, 'execute')) as access_functions_are_closed
from pg_catalog.pg_proc as p
where p.oid in ('app.org_ids(text)'::regprocedure, 'app.wedding_ids(text)'::regprocedure);

-- anon has nothing, nobody may empty a table
with ours (relation) as (
  values ('public.organizations'::regclass), ('public.profiles'), ('public.memberships'), ('public.invitations'),
         ('public.api_keys'), ('public.weddings'), ('public.wedding_people'), ('public.wedding_vendors'),
         ('public.wedding_events'), ('public.timeline_items')
)
select pg_catalog.bool_and(
         not pg_catalog.has_any_column_privilege('anon', relation, 'select, insert, update, references')
         and not pg_catalog.has_table_privilege('anon', relation, 'delete, truncate, trigger')
         and not pg_catalog.has_table_privilege('authenticated', relation, 'truncate, trigger')
         and not pg_catalog.has_table_privilege('service_role', relation, 'truncate, trigger')
         and pg_catalog.has_any_column_privilege('authenticated', relation, 'select')
         and pg_catalog.has_table_privilege('service_role', relation, 'select')) as granted_by_name
from ours;

-- the API's roles reach the tables by name
select pg_catalog.bool_and(pg_catalog.has_schema_privilege(r.name, 'public', 'usage')) as schema_is_usable
from (values ('authenticated'), ('service_role')) as r (name);

-- a row cannot move to another tenant, and secrets' hashes cannot be read
select pg_catalog.bool_and(not pg_catalog.has_column_privilege('authenticated', c.relation, c.name, c.privilege))
       as tenants_and_secrets_are_fixed
from (values
  ('public.organizations', 'id', 'update'), ('public.profiles', 'id', 'update'),
  ('public.memberships', 'organization_id', 'update'), ('public.memberships', 'profile_id', 'update'),
  ('public.invitations', 'organization_id', 'update'), ('public.api_keys', 'organization_id', 'update'),
  ('public.weddings', 'id', 'update'), ('public.wedding_people', 'wedding_id', 'update'),
  ('public.wedding_people', 'profile_id', 'insert, update'), ('public.wedding_vendors', 'wedding_id', 'update'),
  ('public.wedding_vendors', 'organization_id', 'update'), ('public.wedding_vendors', 'status', 'insert, update'),
  ('public.wedding_events', 'wedding_id', 'update'), ('public.timeline_items', 'wedding_id', 'update'),
  ('public.invitations', 'token_hash', 'select'), ('public.api_keys', 'secret_hash', 'select')
) as c (relation, name, privilege);

-- Look as the API does: somebody unknown sees no row, nobody signed in has no access. Role and claims are put back; an
-- error takes them back itself.
do $probe$
declare
  ours constant text[] := array['organizations', 'profiles', 'memberships', 'invitations', 'api_keys', 'weddings',
                                'wedding_people', 'wedding_vendors', 'wedding_events', 'timeline_items'];
  role_before constant text := pg_catalog.current_setting('role');
  claims_before constant text := coalesce(pg_catalog.current_setting('request.jwt.claims', true), '');
  subject_before constant text := coalesce(pg_catalog.current_setting('request.jwt.claim.sub', true), '');
  relation text;
  seen boolean;
begin
  perform pg_catalog.set_config('request.jwt.claim.sub', '', true);
  perform pg_catalog.set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-000000000000"}', true);
  foreach relation in array ours loop
    perform pg_catalog.set_config('role', 'authenticated', true);
    execute pg_catalog.format('select exists (select id from public.%I)', relation) into seen;
    if seen then
      raise exception 'a user without any membership sees rows of public.%', relation using errcode = 'insufficient_privilege';
    end if;
    perform pg_catalog.set_config('role', 'anon', true);
    begin
      execute pg_catalog.format('select exists (select id from public.%I)', relation) into seen;
      raise exception 'anon may read public.%', relation using errcode = 'assert_failure';
    exception when insufficient_privilege then
      null;  -- as it should be
    end;
  end loop;
  perform pg_catalog.set_config('role', role_before, true);
  perform pg_catalog.set_config('request.jwt.claims', claims_before, true);
  perform pg_catalog.set_config('request.jwt.claim.sub', subject_before, true);
end
$probe$;
