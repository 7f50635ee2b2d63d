-- each table is there and under row-level security
select pg_catalog.count(*) = 4 and pg_catalog.bool_and(c.relrowsecurity and not c.relforcerowsecurity)
       as tables_are_protected
from pg_catalog.pg_class as c
where c.oid = any (array['public.conversations', 'public.messages', 'public.notifications',
                      'public.files']::regclass[]);

-- these policies and no others, each for authenticated by name; comparing with the access function's answer as a scalar
-- array is what keeps the index in use
with asked (relation, commands, tenant, function, argument, moreover) as (values
  ('public.conversations'::regclass, 'r', 'id', 'conversation_ids', 'viewer', null),
  ('public.conversations', 'aw', 'wedding_id', 'wedding_ids', 'couple', null),
  ('public.messages', 'r', 'conversation_id', 'conversation_ids', 'viewer', null),
  ('public.messages', 'a', 'conversation_id', 'conversation_ids', 'member', '(sender_id = ( SELECT auth.uid() AS uid))'),
  ('public.files', 'r', 'organization_id', 'org_ids', 'viewer', null),
  ('public.files', 'aw', 'organization_id', 'org_ids', 'member', null),
  ('public.files', 'd', 'organization_id', 'org_ids', 'admin', null)
),
expected as (
  select a.relation::oid, command::"char", array['authenticated'::regrole::oid], true,
         pg_catalog.format(case when a.moreover is null then '%s' else '(%s AND %s)' end,
                           pg_catalog.format('(%1$s = ANY (( SELECT app.%2$s(%3$L::text) AS %2$s)::uuid[]))',
                                             a.tenant, a.function, a.argument),
                           a.moreover)
  from asked as a
  cross join pg_catalog.unnest(pg_catalog.string_to_array(a.commands, null)) as command
  union all
  select 'public.notifications'::regclass::oid, command::"char", array['authenticated'::regrole::oid], true,
         '(profile_id = ( SELECT auth.uid() AS uid))'
  from pg_catalog.unnest(pg_catalog.string_to_array('rwd', null)) as command
),
found as (
  select p.polrelid, p.polcmd, p.polroles, p.polpermissive,
         pg_catalog.concat_ws(' with check ', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                              pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
  from pg_catalog.pg_policy as p
  where p.polrelid = any (array['public.conversations', 'public.messages', 'public.notifications',
                                'public.files']::regclass[])
)
select not exists ((table expected except table found) union all (table found except table expected))
       as policies_are_exact;

-- granted by name, these and no others; * is the whole table
with granted (relation, grantee, privileges, columns) as (values
  ('public.conversations'::regclass, 'authenticated'::regrole, 'SELECT', '*'),
  ('public.conversations', 'authenticated', 'INSERT', 'wedding_id organization_id subject'),
  ('public.conversations', 'authenticated', 'UPDATE', 'subject closed_at'),
  ('public.conversations', 'service_role', 'SELECT INSERT UPDATE DELETE', '*'),
  ('public.messages', 'authenticated', 'SELECT', '*'),
  ('public.messages', 'authenticated', 'INSERT', 'wedding_id conversation_id sender_id body'),
  ('public.messages', 'service_role', 'SELECT INSERT DELETE', '*'),
  ('public.notifications', 'authenticated', 'SELECT DELETE', '*'),
  ('public.notifications', 'authenticated', 'UPDATE', 'read_at'),
  ('public.notifications', 'service_role', 'SELECT INSERT UPDATE DELETE', '*'),
  ('public.files', 'authenticated', 'SELECT DELETE', '*'),
  ('public.files', 'authenticated', 'INSERT',
    'organization_id client_id wedding_id uploaded_by name storage_path content_type size_bytes sha256'),
  ('public.files', 'authenticated', 'UPDATE', 'client_id wedding_id name'),
  ('public.files', 'service_role', 'SELECT INSERT UPDATE DELETE', '*')
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
from pg_catalog.unnest(array['public.conversations', 'public.messages', 'public.notifications',
                      'public.files']::regclass[]) as t (oid)
cross join (values ('anon'), ('authenticated'), ('service_role')) as r (name)
where pg_catalog.has_table_privilege(r.name, t.oid, 'truncate, trigger');

-- no row moves to another tenant, no message into another conversation or to another sender
select not pg_catalog.bool_or(pg_catalog.has_column_privilege('authenticated', c.relation, c.name, 'update'))
       as tenants_are_fixed
from (values
  ('public.conversations', 'wedding_id'), ('public.conversations', 'organization_id'), ('public.messages', 'wedding_id'),
  ('public.messages', 'conversation_id'), ('public.messages', 'sender_id'), ('public.messages', 'body'),
  ('public.notifications', 'profile_id'), ('public.files', 'organization_id')
) as c (relation, name);

-- every foreign key has an index that starts with its columns, in whatever order
select pg_catalog.count(*) = 0 as foreign_keys_have_an_index
from pg_catalog.pg_constraint as f
where f.contype = 'f'
  and f.conrelid = any (array['public.conversations', 'public.messages', 'public.notifications',
                      'public.files']::regclass[])
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
  select pg_catalog.bool_or(h.attname = case f.conrelid when 'public.files'::regclass then 'organization_id'
                                         else 'wedding_id' end and t.attname = h.attname) as is_kept
  from rows from (pg_catalog.unnest(f.conkey), pg_catalog.unnest(f.confkey)) as k (here, there)
  join pg_catalog.pg_attribute as h on h.attrelid = f.conrelid and h.attnum = k.here
  join pg_catalog.pg_attribute as t on t.attrelid = f.confrelid and t.attnum = k.there
) as t
where f.contype = 'f'
  and f.conrelid = any (array['public.conversations', 'public.messages', 'public.notifications',
                      'public.files']::regclass[]);

-- nothing is half done
select pg_catalog.bool_and(c.convalidated) as constraints_are_valid
from pg_catalog.pg_constraint as c
where c.conrelid = any (array['public.conversations', 'public.messages', 'public.notifications',
                      'public.files']::regclass[]);

-- updated_at is kept, and so is the tenant, whoever asks
select pg_catalog.count(*) = 2 as updated_at_is_kept
from pg_catalog.pg_trigger as t
where t.tgrelid = any (array['public.conversations', 'public.messages', 'public.notifications',
                      'public.files']::regclass[])
  and t.tgfoid = 'app.touch_updated_at()'::regprocedure and t.tgenabled = 'O';

select pg_catalog.count(*) = 4 as tenant_is_kept
from pg_catalog.pg_trigger as t
join (values
  ('public.files'::regclass, 'organization_id', '(old.organization_id IS DISTINCT FROM new.organization_id)'),
  ('public.conversations', 'wedding_id, organization_id', '((old.wedding_id IS DISTINCT FROM new.wedding_id)'
    ' OR (old.organization_id IS DISTINCT FROM new.organization_id))'),
  ('public.messages', 'wedding_id, conversation_id', '((old.wedding_id IS DISTINCT FROM new.wedding_id)'
    ' OR (old.conversation_id IS DISTINCT FROM new.conversation_id))'),
  ('public.notifications', 'profile_id', '(old.profile_id IS DISTINCT FROM new.profile_id)')
) as k (relation, columns, moved) on k.relation = t.tgrelid
where t.tgfoid = 'app.keep_tenant()'::regprocedure and t.tgenabled = 'O'
  and pg_catalog.pg_get_triggerdef(t.oid) like pg_catalog.format(
    '%% BEFORE UPDATE OF %s ON %% FOR EACH ROW WHEN (%s) EXECUTE FUNCTION %%', k.columns, k.moved);

-- the access function runs as its owner, with a fixed search_path, for nobody but whom it is meant for
select p.prosecdef and p.provolatile = 's'
       and p.proconfig is not distinct from array['search_path=pg_catalog, pg_temp']
       and pg_catalog.has_function_privilege('authenticated', p.oid, 'execute')
       and not pg_catalog.has_function_privilege('anon', p.oid, 'execute') as access_function_is_closed
from pg_catalog.pg_proc as p
where p.oid = 'app.conversation_ids(text)'::regprocedure;

-- Look as the API does: somebody unknown sees no row, nobody signed in has no access. Role and claims are put back; an
-- error takes them back itself.
do $probe$
declare
  ours constant text[] := array['conversations', 'messages', 'notifications', 'files'];
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
