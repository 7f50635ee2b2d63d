-- the switch is there once, and whoever turns it is logged
select pg_catalog.count(*) = 1 as gate_is_there from ops.write_gate;
select pg_catalog.count(*) = 1 as gate_is_logged
from pg_catalog.pg_trigger as t
where t.tgrelid = 'ops.write_gate'::regclass and t.tgfoid = 'audit.write()'::regprocedure and t.tgenabled = 'O';

-- every table the platform writes asks it once a statement, whatever the statement (insert 4, delete 8, update 16,
-- truncate 32; before 2; no row 1)
select pg_catalog.count(*) = 38 as every_table_has_the_gate
from pg_catalog.pg_trigger as t
where t.tgfoid = 'ops.check_write_gate()'::regprocedure and t.tgenabled = 'O' and t.tgtype = 62
  and t.tgrelid = any (array[
    'public.organizations', 'public.profiles', 'public.memberships', 'public.invitations', 'public.api_keys',
    'public.weddings', 'public.wedding_people', 'public.wedding_vendors', 'public.wedding_events',
    'public.timeline_items', 'public.clients', 'public.client_notes', 'public.tasks', 'public.households',
    'public.guests', 'public.rsvps', 'public.seating_tables', 'public.seat_assignments', 'public.forms',
    'public.form_versions', 'public.form_drafts', 'public.form_submissions', 'public.packages',
    'public.resources', 'public.bookings', 'public.contracts', 'public.subscriptions', 'public.invoices',
    'public.invoice_lines', 'public.stripe_events', 'public.payments', 'public.refunds', 'public.conversations',
    'public.messages', 'public.notifications', 'public.files', 'public.consents', 'public.data_requests'
  ]::regclass[]);

-- a wedding's lock is on what was agreed, and on nothing else: these columns, and deleting
with expected (relation, name, columns) as (
  values ('public.weddings'::regclass, 'wedding_lock', '{status,time_zone,wedding_date}'::text[]),
         ('public.weddings', 'wedding_lock_row', '{}'),
         ('public.wedding_vendors', 'wedding_lock', '{status}'),
         ('public.wedding_vendors', 'wedding_lock_row', '{}'),
         ('public.guests', 'wedding_lock_row', '{}'),
         ('public.households', 'wedding_lock_row', '{}'),
         ('public.contracts', 'wedding_lock', '{body,currency,status,title,total_minor,wedding_id}'),
         ('public.contracts', 'wedding_lock_row', '{}'),
         ('public.bookings', 'wedding_lock', '{during,resource_id,status,wedding_id}'),
         ('public.bookings', 'wedding_lock_row', '{}'),
         ('public.invoices', 'wedding_lock', '{status}')
), there as (
  select t.tgrelid as relation, t.tgname::text as name, t.tgtype,
         array(select a.attname::text from pg_catalog.pg_attribute as a
               where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr::int2[]) order by a.attname::text collate "C") as columns
  from pg_catalog.pg_trigger as t
  where t.tgenabled = 'O'
    and t.tgfoid in ('ops.keep_locked_wedding()'::regprocedure, 'ops.keep_at_locked_wedding()'::regprocedure,
                     'ops.keep_invoice_of_locked_wedding()'::regprocedure)
)
select pg_catalog.count(*) = 11
       and pg_catalog.bool_and(e.columns is not distinct from t.columns
                               -- before each row, update or delete
                               and t.tgtype = case t.name when 'wedding_lock' then 19 else 11 end) as what_was_agreed_is_locked
from expected as e
full join there as t on t.relation = e.relation and t.name = e.name;

-- an organization keeps an owner: looked at when the transaction commits
select pg_catalog.bool_and(t.tgenabled = 'O' and t.tgdeferrable and t.tginitdeferred) as owners_are_kept
from pg_catalog.pg_trigger as t
where t.tgrelid = 'public.memberships'::regclass and t.tgfoid = 'ops.keep_owner()'::regprocedure;

-- nobody but the platform's own server side gets at any of it, and even that changes nothing by hand
select not pg_catalog.has_schema_privilege('anon', 'ops', 'usage')
       and not pg_catalog.has_schema_privilege('authenticated', 'ops', 'usage')
       and pg_catalog.has_schema_privilege('service_role', 'ops', 'usage')
       and not pg_catalog.has_schema_privilege('service_role', 'ops', 'create') as schema_is_closed;
select pg_catalog.count(*) = 2
       and pg_catalog.bool_and(c.relrowsecurity and not c.relforcerowsecurity
                               and (select pg_catalog.array_agg(a.grantee::regrole::text || ' ' || a.privilege_type)
                                    from pg_catalog.aclexplode(c.relacl) as a
                                    where a.grantee <> c.relowner
                                      -- PUBLIC and the API; an administrator's own role, for backups say, is his affair
                                      and (a.grantee = 0
                                           or a.grantee::regrole::text in ('anon', 'authenticated', 'service_role')))
                                   is not distinct from array['service_role SELECT']
                               and not exists (select from pg_catalog.pg_attribute as a
                                               where a.attrelid = c.oid and a.attacl is not null)) as tables_are_closed
from pg_catalog.pg_class as c
where c.oid = any (array['ops.write_gate', 'ops.wedding_lock_overrides']::regclass[]);

-- each function finds what it was written for, and these are called by the server side, the others by triggers alone
with expected (function, callers, definer) as (values
  ('ops.clock()'::regprocedure, '{service_role}'::text[], true),
  ('ops.shown(timestamptz)', null, false),
  ('ops.set_write_gate(text,text,timestamptz)', '{service_role}', true),
  ('ops.check_write_gate()', null, true),
  ('ops.wedding_lock(date,text)', '{service_role}', false),
  ('ops.locked_until(date,text,text,timestamptz)', null, false),
  ('ops.refuse_locked(uuid,timestamptz)', null, false),
  ('ops.require_unlocked(uuid)', null, false),
  ('ops.keep_locked_wedding()', null, true),
  ('ops.keep_at_locked_wedding()', null, true),
  ('ops.keep_invoice_of_locked_wedding()', null, true),
  ('ops.override_wedding_lock(uuid,text,timestamptz)', '{service_role}', true),
  ('ops.keep_owner()', null, true),
  ('ops.is_saturday(text,timestamptz,timestamptz)', null, false),
  ('ops.deploy_window(timestamptz,timestamptz)', '{service_role}', true)
)
select pg_catalog.bool_and(p.proconfig is not distinct from array['search_path=pg_catalog, pg_temp']
                           and p.prosecdef = e.definer
                           and (select pg_catalog.array_agg(a.grantee::regrole::text)
                                from pg_catalog.aclexplode(p.proacl) as a
                                where a.grantee <> p.proowner)
                               is not distinct from e.callers) as functions_are_closed
from expected as e
join pg_catalog.pg_proc as p on p.oid = e.function;

-- 54 hours, and 53 over the night that summer time begins in London
select ops.wedding_lock('2027-06-12', 'Australia/Sydney')
         = pg_catalog.tstzrange('2027-06-10 14:00:00+00', '2027-06-12 20:00:00+00')
       and ops.wedding_lock('2027-03-28', 'Europe/London')
         = pg_catalog.tstzrange('2027-03-27 00:00:00+00', '2027-03-29 05:00:00+00') as a_lock_is_of_the_place;
-- a window is judged for the time it is asked about, whatever time it is
select w.verdict in ('open', 'restricted', 'closed') as a_window_is_judged
from ops.deploy_window('2027-06-12 00:00:00+00', '2027-06-12 01:00:00+00') as w;
