-- each table is there and under row-level security
select pg_catalog.count(*) = 4 and pg_catalog.bool_and(c.relrowsecurity and not c.relforcerowsecurity)
       as tables_are_protected
from pg_catalog.pg_class as c
where c.oid = any (array['public.packages', 'public.resources', 'public.bookings',
                      'public.contracts']::regclass[]);

-- these policies and no others, each for authenticated by name; comparing with the access function's answer as a scalar
-- array is what keeps the tenant's index in use
with asked (relation, on_read, on_insert, on_update, on_delete) as (values
  ('public.packages'::regclass, 'viewer', 'admin', 'admin', 'admin'),
  ('public.resources', 'viewer', 'admin', 'admin', 'admin'),
  ('public.bookings', 'viewer', 'member', 'member', 'admin'),
  ('public.contracts', 'viewer', 'member', 'member', null)
),
expected as (
  select a.relation::oid, c.command::"char", array['authenticated'::regrole::oid], true,
         pg_catalog.format('(organization_id = ANY (( SELECT app.org_ids(%L::text) AS org_ids)::uuid[]))', c.asks)
  from asked as a
  cross join lateral (
    values ('r', a.on_read), ('a', a.on_insert), ('w', a.on_update), ('d', a.on_delete)
  ) as c (command, asks)
  where c.asks is not null
  union all  -- of contracts only drafts go
  select 'public.contracts'::regclass::oid, 'd', array['authenticated'::regrole::oid], true,
         '((organization_id = ANY (( SELECT app.org_ids(''admin''::text) AS org_ids)::uuid[]))'
         ' AND (status = ''draft''::text))'
),
found as (
  select p.polrelid, p.polcmd, p.polroles, p.polpermissive,
         pg_catalog.concat_ws(' with check ', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                              pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
  from pg_catalog.pg_policy as p
  where p.polrelid in (select relation from asked)
)
select not exists ((table expected except table found) union all (table found except table expected))
       as policies_are_exact;

-- granted by name, these and no others; * is the whole table
with granted (relation, grantee, privileges, columns) as (values
  ('public.packages'::regclass, 'authenticated'::regrole, 'SELECT DELETE', '*'),
  ('public.packages', 'authenticated', 'INSERT', 'organization_id name description price_minor currency active'),
  ('public.packages', 'authenticated', 'UPDATE', 'name description price_minor currency active'),
  ('public.packages', 'service_role', 'SELECT INSERT UPDATE DELETE', '*'),
  ('public.resources', 'authenticated', 'SELECT DELETE', '*'),
  ('public.resources', 'authenticated', 'INSERT', 'organization_id name kind active'),
  ('public.resources', 'authenticated', 'UPDATE', 'name kind active'),
  ('public.resources', 'service_role', 'SELECT INSERT UPDATE DELETE', '*'),
  ('public.bookings', 'authenticated', 'SELECT DELETE', '*'),
  ('public.bookings', 'authenticated', 'INSERT',
    'organization_id resource_id client_id package_id wedding_id during status hold_expires_at'),
  ('public.bookings', 'authenticated', 'UPDATE',
    'resource_id client_id package_id wedding_id during status hold_expires_at'),
  ('public.bookings', 'service_role', 'SELECT INSERT UPDATE DELETE', '*'),
  ('public.contracts', 'authenticated', 'SELECT DELETE', '*'),
  ('public.contracts', 'authenticated', 'INSERT',
    'organization_id client_id package_id wedding_id title body total_minor currency status sent_at'),
  ('public.contracts', 'authenticated', 'UPDATE',
    'client_id package_id wedding_id title body total_minor currency status sent_at'),
  ('public.contracts', 'service_role', 'SELECT INSERT UPDATE DELETE', '*')
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
  where c.oid in (select relation from granted)
    and a.grantee in (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole)
  union all
  select c.attrelid, a.grantee, a.privilege_type, c.attname, a.is_grantable
  from pg_catalog.pg_attribute as c
  cross join pg_catalog.aclexplode(c.attacl) as a
  where c.attrelid in (select relation from granted)
    and a.grantee in (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole)
)
select not exists ((table expected except table found) union all (table found except table expected))
       as granted_by_name;

-- what they have through other roles counts, too: nobody may empty a table, which row-level security would not stop
select pg_catalog.count(*) = 0 as nobody_may_truncate
from pg_catalog.unnest(array['public.packages', 'public.resources', 'public.bookings',
                      'public.contracts']::regclass[]) as t (oid)
cross join (values ('anon'), ('authenticated'), ('service_role')) as r (name)
where pg_catalog.has_table_privilege(r.name, t.oid, 'truncate, trigger');

-- no row moves to another tenant
select not pg_catalog.bool_or(pg_catalog.has_column_privilege('authenticated', t.oid, 'organization_id', 'update'))
       as tenants_are_fixed
from pg_catalog.unnest(array['public.packages', 'public.resources', 'public.bookings',
                      'public.contracts']::regclass[]) as t (oid);

-- every foreign key has an index that starts with its columns, in whatever order
select pg_catalog.count(*) = 0 as foreign_keys_have_an_index
from pg_catalog.pg_constraint as f
where f.contype = 'f'
  and f.conrelid = any (array['public.packages', 'public.resources', 'public.bookings',
                      'public.contracts']::regclass[])
  and not exists (
    select from pg_catalog.pg_index as i
    where i.indrelid = f.conrelid and i.indisvalid and i.indpred is null
      and (i.indkey::int2[])[0:pg_catalog.cardinality(f.conkey) - 1] operator(pg_catalog.@>) f.conkey
  );

-- a row points only at rows of its own tenant: every foreign key but those to the tenants and people themselves has the
-- tenant on both sides
select pg_catalog.count(*) = 11
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
where f.contype = 'f'
  and f.conrelid = any (array['public.packages', 'public.resources', 'public.bookings',
                      'public.contracts']::regclass[]);

-- nothing is half done
select pg_catalog.bool_and(c.convalidated) as constraints_are_valid
from pg_catalog.pg_constraint as c
where c.conrelid = any (array['public.packages', 'public.resources', 'public.bookings',
                      'public.contracts']::regclass[]);

-- updated_at is kept, and so is the tenant, whoever asks
select pg_catalog.count(*) = 4 as updated_at_is_kept
from pg_catalog.pg_trigger as t
where t.tgrelid = any (array['public.packages', 'public.resources', 'public.bookings',
                      'public.contracts']::regclass[])
  and t.tgfoid = 'app.touch_updated_at()'::regprocedure and t.tgenabled = 'O';

select pg_catalog.count(*) = 4 as tenant_is_kept
from pg_catalog.pg_trigger as t
where t.tgrelid = any (array['public.packages', 'public.resources', 'public.bookings',
                      'public.contracts']::regclass[])
  and t.tgfoid = 'app.keep_tenant()'::regprocedure and t.tgenabled = 'O'
  and pg_catalog.pg_get_triggerdef(t.oid) like '% BEFORE UPDATE OF organization_id ON % FOR EACH ROW'
      ' WHEN ((old.organization_id IS DISTINCT FROM new.organization_id)) EXECUTE FUNCTION %';

-- what was signed stays as it is
select pg_catalog.count(*) = 2
       and pg_catalog.bool_and(t.tgenabled = 'O'
                               and p.proconfig is not distinct from array['search_path=pg_catalog, pg_temp']
                               and not pg_catalog.has_function_privilege('anon', p.oid, 'execute')
                               and not pg_catalog.has_function_privilege('authenticated', p.oid, 'execute'))
       as signed_is_kept
from pg_catalog.pg_trigger as t
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
where t.tgrelid = 'public.contracts'::regclass and p.oid = 'app.keep_signed()'::regprocedure
  and pg_catalog.pg_get_triggerdef(t.oid) ~ any (array[
    ' BEFORE UPDATE ON .* WHEN \(\(old\.status = ANY \(ARRAY\[''signed''::text, ''void''::text\]\)\)\)',
    ' BEFORE DELETE ON .* WHEN \(\(old\.signed_at IS NOT NULL\)\)']);

-- nobody and nothing is booked twice at a time
select pg_catalog.pg_get_constraintdef(c.oid) =
       'EXCLUDE USING gist (app.uuid_range(organization_id, organization_id, ''[]''::text) WITH =,'
       ' app.uuid_range(resource_id, resource_id, ''[]''::text) WITH =, during WITH &&)'
       ' WHERE ((status = ANY (ARRAY[''held''::text, ''confirmed''::text])))' as bookings_do_not_overlap
from pg_catalog.pg_constraint as c
where c.conrelid = 'public.bookings'::regclass and c.conname = 'bookings_do_not_overlap';

-- Look as the API does: somebody unknown sees no row, nobody signed in has no access. Role and claims are put back; an
-- error takes them back itself.
do $probe$
declare
  ours constant text[] := array['packages', 'resources', 'bookings', 'contracts'];
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
