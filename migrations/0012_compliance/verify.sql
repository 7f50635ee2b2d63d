-- each table is there and under row-level security
select pg_catalog.count(*) = 4 and pg_catalog.bool_and(c.relrowsecurity and not c.relforcerowsecurity)
       as tables_are_protected
from pg_catalog.pg_class as c
where c.oid = any (array['public.consents', 'public.data_requests', 'app.personal_rows',
                         'app.personal_data']::regclass[]);

-- these policies and no others, each for authenticated by name; the map has none
with expected (relation, name, command, form) as (values
  ('public.consents'::regclass, 'own_read', 'r', '(profile_id = ( SELECT auth.uid() AS uid))'),
  ('public.consents', 'own_insert', 'a', '(profile_id = ( SELECT auth.uid() AS uid))'),
  ('public.data_requests', 'admins_read', 'r',
   '(organization_id = ANY (( SELECT app.org_ids(''admin''::text) AS org_ids)::uuid[]))'),
  ('public.data_requests', 'admins_insert', 'a',
   '(organization_id = ANY (( SELECT app.org_ids(''admin''::text) AS org_ids)::uuid[]))')
),
found as (
  select p.polrelid::regclass, p.polname::text, p.polcmd::text,
         pg_catalog.concat_ws(' with check ', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                              pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
  from pg_catalog.pg_policy as p
  where p.polrelid = any (array['public.consents', 'public.data_requests', 'app.personal_rows',
                                'app.personal_data']::regclass[])
    and p.polpermissive and p.polroles = array['authenticated'::regrole::oid]
)
select not exists ((table expected except table found) union all (table found except table expected))
       as policies_are_exact;

select pg_catalog.count(*) = 4 as policies_have_no_company
from pg_catalog.pg_policy as p
where p.polrelid = any (array['public.consents', 'public.data_requests', 'app.personal_rows',
                              'app.personal_data']::regclass[]);

-- granted by name, these and no others; * is the whole table
with ours as (
  select pg_catalog.unnest(array['public.consents', 'public.data_requests', 'app.personal_rows',
                                 'app.personal_data']::regclass[])::oid as relation
),
granted (relation, grantee, privileges, columns) as (values
  ('public.consents'::regclass, 'authenticated'::regrole, 'SELECT', '*'),
  ('public.consents', 'authenticated', 'INSERT', 'profile_id purpose granted policy_version source'),
  ('public.consents', 'service_role', 'SELECT INSERT', '*'),
  ('public.data_requests', 'authenticated', 'SELECT', '*'),
  ('public.data_requests', 'authenticated', 'INSERT', 'organization_id subject_email kind reason requested_by'),
  ('public.data_requests', 'service_role', 'SELECT INSERT UPDATE', '*')
),
expected as (
  select g.relation::oid, g.grantee::oid, privilege, name, false
  from granted as g
  cross join pg_catalog.unnest(pg_catalog.string_to_array(g.privileges, ' ')) as privilege
  cross join pg_catalog.unnest(pg_catalog.string_to_array(g.columns, ' ')) as name
),
found as (
  select c.oid, a.grantee, a.privilege_type, '*', a.is_grantable
  from pg_catalog.pg_class as c
  cross join pg_catalog.aclexplode(c.relacl) as a
  where c.oid in (select relation from ours)
    and a.grantee in (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole)
  union all
  select c.attrelid, a.grantee, a.privilege_type, c.attname, a.is_grantable
  from pg_catalog.pg_attribute as c
  cross join pg_catalog.aclexplode(c.attacl) as a
  where c.attrelid in (select relation from ours)
    and a.grantee in (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole)
)
select not exists ((table expected except table found) union all (table found except table expected))
       as granted_by_name;

-- every foreign key has an index that starts with its columns, in whatever order
select pg_catalog.count(*) = 0 as foreign_keys_have_an_index
from pg_catalog.pg_constraint as f
where f.contype = 'f'
  and f.conrelid = any (array['public.consents', 'public.data_requests']::regclass[])
  and not exists (
    select from pg_catalog.pg_index as i
    where i.indrelid = f.conrelid and i.indisvalid and i.indpred is null
      and (i.indkey::int2[])[0:pg_catalog.cardinality(f.conkey) - 1] operator(pg_catalog.@>) f.conkey
  );

-- a row points only at rows of its own tenant: every foreign key but those to the tenants and people themselves has the
-- tenant on both sides
select pg_catalog.count(*) = 3
       and pg_catalog.bool_and(
         f.confrelid = any (array['public.organizations', 'public.weddings', 'public.profiles']::regclass[]) or t.is_kept)
       as references_stay_within_the_tenant
from pg_catalog.pg_constraint as f
cross join lateral (
  select pg_catalog.bool_or(h.attname = 'organization_id' and t.attname = h.attname) as is_kept
  from rows from (pg_catalog.unnest(f.conkey), pg_catalog.unnest(f.confkey)) as k (here, there)
  join pg_catalog.pg_attribute as h on h.attrelid = f.conrelid and h.attnum = k.here
  join pg_catalog.pg_attribute as t on t.attrelid = f.confrelid and t.attnum = k.there
) as t
where f.contype = 'f' and f.conrelid = any (array['public.consents', 'public.data_requests']::regclass[]);

-- updated_at is kept, and so is the tenant
select pg_catalog.count(*) = 3 as triggers_are_on
from pg_catalog.pg_trigger as t
join (values
  ('public.consents'::regclass, 'app.keep_tenant()'::regprocedure,
    '% BEFORE UPDATE OF profile_id ON % WHEN ((old.profile_id IS DISTINCT FROM new.profile_id)) %'),
  ('public.data_requests', 'app.keep_tenant()',
    '% BEFORE UPDATE OF organization_id ON % WHEN ((old.organization_id IS DISTINCT FROM new.organization_id)) %'),
  ('public.data_requests', 'app.touch_updated_at()', '% BEFORE UPDATE ON % FOR EACH ROW EXECUTE FUNCTION %')
) as k (relation, called, definition) on (k.relation, k.called) = (t.tgrelid, t.tgfoid)
where t.tgenabled = 'O' and pg_catalog.pg_get_triggerdef(t.oid) like k.definition;

-- export, erasure and scan run as their owner, with a fixed search_path, for the server side alone; their parts for nobody
select pg_catalog.count(*) = 14
       and pg_catalog.bool_and(
         p.proconfig is not distinct from array['search_path=pg_catalog, pg_temp']
         and p.prosecdef = (p.pronamespace = 'api'::regnamespace)
         and pg_catalog.has_function_privilege('service_role', p.oid, 'execute') = p.prosecdef
         and not pg_catalog.has_function_privilege('anon', p.oid, 'execute')
         and not pg_catalog.has_function_privilege('authenticated', p.oid, 'execute')) as functions_are_closed
from pg_catalog.pg_proc as p
where p.oid in (
  'api.export_person(uuid, text)'::regprocedure, 'api.erase_person(uuid, text, timestamptz)'::regprocedure,
  'api.residual_scan(text[])'::regprocedure, 'app.address_pattern(text)'::regprocedure,
  'app.masked_event(jsonb)'::regprocedure, 'app.address_is_shared(text, uuid)'::regprocedure,
  'app.subject(uuid, text)'::regprocedure, 'app.rows_of_person(uuid, text)'::regprocedure,
  'app.erasure_of(text)'::regprocedure, 'app.erase_rows(text, uuid[])'::regprocedure, 'app.free_text()'::regprocedure,
  'app.erase_mentions(text, uuid[])'::regprocedure, 'app.left_alone(uuid, text, text)'::regprocedure,
  'app.export_rows(text, uuid[], text)'::regprocedure);

-- the map names every column that can hold text, and none that is not there
with kept as (
  select n.nspname || '.' || c.relname as relation, a.attname::text as column_name,
         t.oid in ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype, 'bytea'::regtype) as holds_text
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname in ('public', 'app')
  join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_catalog.pg_type as t on t.oid = a.atttypid
  where c.relkind in ('r', 'p') and not c.relispartition
    and (n.nspname || '.' || c.relname) in (select d.relation from app.personal_data as d)
)
select not exists (select from kept as k where k.holds_text and not exists (
                     select from app.personal_data as d where (d.relation, d.column_name) = (k.relation, k.column_name)))
       and not exists (select from app.personal_data as d where pg_catalog.split_part(d.relation, '.', 1) <> 'audit'
                         and not exists (
                           select from kept as k where (k.relation, k.column_name) = (d.relation, d.column_name)))
       as map_is_complete;

-- the map can be read and followed; with a profile alone, so that it costs no scan
select not exists (select from app.rows_of_person('00000000-0000-4000-8000-000000000000', null)) as nobody_has_rows;

select api.export_person('00000000-0000-4000-8000-000000000000', null) = '{}'::jsonb as nobody_is_exported;

-- Look as the API does: somebody unknown sees no row, nobody signed in has no access. Role and claims are put back; an
-- error takes them back itself.
do $probe$
declare
  ours constant text[] := array['consents', 'data_requests'];
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
      raise exception 'a user without any membership sees rows of public.%', relation
        using errcode = 'insufficient_privilege';
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
