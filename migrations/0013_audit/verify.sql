-- the log and every partition of it are under row-level security; a default is there, and its indexes are valid
select c.relkind = 'p' and c.relrowsecurity and not c.relforcerowsecurity
       and pg_catalog.bool_and(p.relrowsecurity and not p.relforcerowsecurity)
       and pg_catalog.bool_or(pg_catalog.pg_get_expr(p.relpartbound, p.oid) = 'DEFAULT') as log_is_protected
from pg_catalog.pg_class as c
join pg_catalog.pg_inherits as i on i.inhparent = c.oid
join pg_catalog.pg_class as p on p.oid = i.inhrelid
where c.oid = 'audit.log'::regclass
group by c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity;

-- one policy, on the parent, for authenticated by name, in the form that keeps the tenant's index
select pg_catalog.count(*) = 1
       and pg_catalog.bool_and(
         p.polrelid = 'audit.log'::regclass and p.polcmd = 'r' and p.polpermissive
         and p.polroles = array['authenticated'::regrole::oid]
         and pg_catalog.pg_get_expr(p.polqual, p.polrelid)
             = '(organization_id = ANY (( SELECT app.org_ids(''admin''::text) AS org_ids)::uuid[]))') as policies_are_exact
from pg_catalog.pg_policy as p
where p.polrelid in (select relid from pg_catalog.pg_partition_tree('audit.log'));

-- read through the parent alone, written by nobody
select pg_catalog.bool_and(
         pg_catalog.has_table_privilege(r.name, t.relid, 'select') = (t.level = 0 and r.name <> 'anon')
         and not pg_catalog.has_any_column_privilege(r.name, t.relid, 'insert, update, references')
         and not pg_catalog.has_table_privilege(r.name, t.relid, 'delete, truncate, trigger')) as only_read_and_only_whole
from pg_catalog.pg_partition_tree('audit.log') as t
cross join (values ('anon'), ('authenticated'), ('service_role')) as r (name);

select pg_catalog.bool_and(pg_catalog.has_schema_privilege(r.name, 'audit', 'usage') = (r.name <> 'anon')
                           and not pg_catalog.has_schema_privilege(r.name, 'audit', 'create')) as schema_is_usable
from (values ('anon'), ('authenticated'), ('service_role')) as r (name);

-- each of these tables is logged, for these operations (i insert, u update, d delete), in one go a statement
with asked (relation, operations) as (values
  ('public.organizations'::regclass, 'diu'), ('public.profiles', 'diu'), ('public.memberships', 'diu'),
  ('public.invitations', 'diu'), ('public.api_keys', 'diu'), ('public.weddings', 'diu'), ('public.wedding_people', 'diu'),
  ('public.wedding_vendors', 'diu'), ('public.clients', 'diu'), ('public.forms', 'diu'), ('public.packages', 'diu'),
  ('public.resources', 'diu'), ('public.bookings', 'diu'), ('public.contracts', 'diu'), ('public.subscriptions', 'diu'),
  ('public.invoices', 'diu'), ('public.invoice_lines', 'diu'), ('public.payments', 'diu'), ('public.refunds', 'diu'),
  ('public.files', 'diu'), ('public.consents', 'diu'), ('public.data_requests', 'diu'), ('public.households', 'd'),
  ('public.guests', 'd')
),
expected as (
  select relation::oid, operation from asked cross join pg_catalog.string_to_table(operations, null) as operation
),
found as (
  select t.tgrelid, case t.tgtype when 4 then 'i' when 8 then 'd' when 16 then 'u' end
  from pg_catalog.pg_trigger as t
  where t.tgrelid in (select relation from asked)  -- later migrations log tables of their own
    and t.tgfoid = 'audit.write()'::regprocedure and t.tgenabled = 'O' and t.tgqual is null and t.tgattr = ''
    and (t.tgtype = 8) = (t.tgnewtable is null) and (t.tgtype = 4) = (t.tgoldtable is null)
    and t.tgrelid in (select relation from asked)
)
select not exists ((table expected except table found) union all (table found except table expected)) as all_is_logged;

-- the trigger writes as its owner; nobody but the owner calls anything here
select pg_catalog.count(*) = 5
       and pg_catalog.bool_and(
         p.proconfig is not distinct from array['search_path=pg_catalog, pg_temp']
         and p.prosecdef = (p.proname = 'write')
         and not pg_catalog.has_function_privilege('anon', p.oid, 'execute')
         and not pg_catalog.has_function_privilege('authenticated', p.oid, 'execute')
         and not pg_catalog.has_function_privilege('service_role', p.oid, 'execute')) as functions_are_closed
from pg_catalog.pg_proc as p
where p.oid in (
  'audit.masks(text)'::regprocedure, 'audit.masked(text, jsonb)'::regprocedure, 'audit.write()'::regprocedure,
  'audit.ensure_partitions(date, integer)'::regprocedure, 'audit.drop_partitions_before(date)'::regprocedure);

-- the subject map knows the log
select pg_catalog.count(*) = 4 as log_is_mapped from app.personal_data where relation = 'audit.log';

-- an entry names nobody: of a person's row, and of a key's, everything that tells who they are
select audit.masked('public.profiles', '{"email": "a@b.c", "locale": "en"}') = '{"email": "<pii>", "locale": "en"}'
       and audit.masked('public.api_keys', '{"secret_hash": "x"}') = '{"secret_hash": "<secret>"}' as entries_are_masked;
