-- requires: 0012_compliance
-- Who changed what: one entry for each row, written by triggers, so that no way of writing gets past it. Not logged are
-- autosave, messages, answers to invitations, the running order and notifications: they say themselves who and when, and
-- would bury everything else.
create schema audit;
comment on schema audit is 'who changed what';

-- By month, so that old entries go by dropping a table. No month is made here, or the catalog would depend on the day of
-- the deployment: audit.ensure_partitions makes them ahead, and until then the default takes every entry. The claims say
-- who acted, the role how: with the platform's own server side there is no user.
create table audit.log (
  id uuid not null default app.uuid_v7(),
  happened_at timestamptz not null default now(),
  organization_id uuid,
  wedding_id uuid,
  actor uuid,
  db_role text not null,
  relation text not null,
  operation text not null check (operation in ('INSERT', 'UPDATE', 'DELETE')),
  row_key uuid not null,
  changes jsonb not null check (jsonb_typeof(changes) = 'object'),
  transaction_id xid8 not null default pg_current_xact_id(),
  primary key (id, happened_at)
) partition by range (happened_at);
create index log_organization_id_idx on audit.log (organization_id, happened_at);
create index log_row_key_idx on audit.log (row_key);
comment on table audit.log is 'entries: of each row what changed, and nothing personal or secret in clear';

create table audit.log_default partition of audit.log default;
comment on table audit.log_default is 'entries of months that have no partition yet: a missed night stops no business';

-- A partition that is named directly does not ask its parent's policies: it has none of its own, and no grant.
alter table audit.log enable row level security;
alter table audit.log_default enable row level security;
revoke all on table audit.log, audit.log_default from public, anon, authenticated, service_role;
revoke all on schema audit from public;

create policy admins_read on audit.log for select to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant usage on schema audit to authenticated, service_role;
grant select on audit.log to authenticated, service_role;

-- That somebody changed a name is logged, the name is not.
create function audit.masks(of_relation text) returns jsonb
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select coalesce(jsonb_object_agg(d.column_name, case d.class when 'secret' then '<secret>' else '<pii>' end), '{}')
    from app.personal_data as d
    where d.relation = of_relation and d.class <> 'impersonal'
  $$;
comment on function audit.masks(text) is 'what stands in the log for each column that the subject map calls personal or secret';

create function audit.masked(of_relation text, changes jsonb) returns jsonb
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select changes || coalesce(jsonb_object_agg(m.key, m.value), '{}')
    from jsonb_each(audit.masks(of_relation)) as m
    where changes ? m.key
  $$;
comment on function audit.masked(text, jsonb) is 'logged changes of this table, masked as the map says now';

-- One statement for all rows of the statement that fired it: of a new or a deleted row every value there is, of a changed
-- one [old, new] of what differs. updated_at follows by itself and says nothing. A row whose key was changed is logged
-- twice, as gone and as there. It runs as its owner, because nobody else may write.
create function audit.write() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  of_relation constant text := tg_table_schema || '.' || tg_table_name;
  masks constant jsonb := audit.masks(of_relation);
  organization constant text := case of_relation when 'public.organizations' then 'id' else 'organization_id' end;
  wedding constant text := case of_relation when 'public.weddings' then 'id' else 'wedding_id' end;
  actor constant uuid := auth.uid();
  db_role constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
begin
  if tg_op = 'UPDATE' then
    insert into audit.log (organization_id, wedding_id, actor, db_role, relation, operation, row_key, changes)
    select (r.known ->> organization)::uuid, (r.known ->> wedding)::uuid, actor, db_role, of_relation, tg_op,
           (r.known ->> 'id')::uuid, c.changes
    from (
      select to_jsonb(o) as old, to_jsonb(n) as new, coalesce(to_jsonb(n), to_jsonb(o)) as known
      from old_rows as o
      full join new_rows as n on n.id = o.id
      offset 0  -- a fence: each row is turned into json once, not once for each use
    ) as r
    cross join lateral (
      select jsonb_object_agg(v.key, coalesce(masks -> v.key, jsonb_build_array(r.old -> v.key, r.new -> v.key))) as changes
      from jsonb_object_keys(r.known) as v (key)
      where v.key <> 'updated_at' and r.old -> v.key is distinct from r.new -> v.key
    ) as c
    where c.changes is not null;
  elsif tg_op = 'INSERT' then
    insert into audit.log (organization_id, wedding_id, actor, db_role, relation, operation, row_key, changes)
    select (r.new ->> organization)::uuid, (r.new ->> wedding)::uuid, actor, db_role, of_relation, tg_op,
           (r.new ->> 'id')::uuid, c.changes
    from (select to_jsonb(n) as new from new_rows as n offset 0) as r
    cross join lateral (
      select jsonb_object_agg(v.key, coalesce(masks -> v.key, v.value)) as changes
      from jsonb_each(r.new) as v
      where v.key <> 'updated_at' and v.value <> 'null'
    ) as c;
  else
    insert into audit.log (organization_id, wedding_id, actor, db_role, relation, operation, row_key, changes)
    select (r.old ->> organization)::uuid, (r.old ->> wedding)::uuid, actor, db_role, of_relation, tg_op,
           (r.old ->> 'id')::uuid, c.changes
    from (select to_jsonb(o) as old from old_rows as o offset 0) as r
    cross join lateral (
      select jsonb_object_agg(v.key, coalesce(masks -> v.key, v.value)) as changes
      from jsonb_each(r.old) as v
      where v.key <> 'updated_at' and v.value <> 'null'
    ) as c;
  end if;
  return null;
end
$$;
comment on function audit.write() is 'trigger: logs what a statement did, row by row';

-- Partitions for so many months from this one on, made where they are missing; gives the names of the new ones. What the
-- default took of such a month moves along, under a lock: nobody writes to it in between. Run by the owner, ahead of time,
-- when the default is empty and there is nothing to wait for.
create function audit.ensure_partitions(from_month date, months integer) returns setof text
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  month timestamp;
  bounds timestamptz[];
  name text;
begin
  if from_month is null or months is null or months not between 1 and 120 then
    raise exception 'months is not between 1 and 120' using errcode = 'invalid_parameter_value';
  end if;
  for month in
    select date_trunc('month', from_month::timestamp) + make_interval(months => n) from generate_series(0, months - 1) as n
  loop
    name := to_char(month, '"log_"YYYY_MM');
    continue when exists (select from pg_inherits as i
                          where i.inhrelid = to_regclass(format('audit.%I', name)) and i.inhparent = 'audit.log'::regclass);
    bounds := array[month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC'];
    lock table audit.log_default in access exclusive mode;
    execute format('create table audit.%I (like audit.log including all)', name);
    execute format('alter table audit.%I enable row level security', name);
    execute format('revoke all on table audit.%I from public, anon, authenticated, service_role', name);
    -- the fingerprint leaves out what bears this mark, or every night would look like a change of the schema
    execute format('comment on table audit.%I is %L', name, 'made by wedsync-db maintenance');
    execute format('with moved as (delete from audit.log_default where happened_at >= $1 and happened_at < $2 returning *)
                    insert into audit.%I select * from moved', name) using bounds[1], bounds[2];
    execute format('alter table audit.log attach partition audit.%I for values from (%L) to (%L)', name,
                   bounds[1], bounds[2]);
    return next name;
  end loop;
end
$$;
comment on function audit.ensure_partitions(date, integer) is 'makes the partitions of these months where they are missing';

-- Retention. Only whole months, only what audit.ensure_partitions made, never the default.
create function audit.drop_partitions_before(month date) returns setof text
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  name text;
begin
  for name in
    select c.relname
    from pg_inherits as i
    join pg_class as c on c.oid = i.inhrelid
    where i.inhparent = 'audit.log'::regclass and c.relname ~ '^log_[0-9]{4}_[0-9]{2}$'
      and obj_description(c.oid, 'pg_class') = 'made by wedsync-db maintenance'
      and to_date(c.relname, '"log_"YYYY_MM') < date_trunc('month', month::timestamp)
    order by c.relname
  loop
    execute format('drop table audit.%I', name);
    return next name;
  end loop;
end
$$;
comment on function audit.drop_partitions_before(date) is 'drops the entries of the months before this one';

revoke all on function audit.masks(text), audit.masked(text, jsonb), audit.write(), audit.ensure_partitions(date, integer),
    audit.drop_partitions_before(date)
  from public;

-- The log belongs to the map, too. It has nothing personal in clear by itself; what the map learns to call personal later
-- is masked in the older entries when somebody is erased.
insert into app.personal_rows (step, relation, found_by, parent, found_where) values
  (6, 'audit.log', 'key', null, 't.row_key = any ($4)');
insert into app.personal_data (relation, column_name, class, action, new_value, only_where, mentions, reason) values
  ('audit.log', 'db_role', 'impersonal', null, null, null, false, null),
  ('audit.log', 'relation', 'impersonal', null, null, null, false, null),
  ('audit.log', 'operation', 'impersonal', null, null, null, false, null),
  ('audit.log', 'changes', 'impersonal', 'replace', 'audit.masked(t.relation, t.changes)', null, true, null);

-- every table of administrative meaning; of the couple's lists only what goes
create trigger audit_insert after insert on public.organizations
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.organizations
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.organizations
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.profiles
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.profiles
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.profiles
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.memberships
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.memberships
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.memberships
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.invitations
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.invitations
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.invitations
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.api_keys
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.api_keys
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.api_keys
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.weddings
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.weddings
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.weddings
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.wedding_people
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.wedding_people
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.wedding_people
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.wedding_vendors
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.wedding_vendors
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.wedding_vendors
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.clients
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.clients
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.clients
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.forms
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.forms
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.forms
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.packages
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.packages
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.packages
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.resources
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.resources
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.resources
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.bookings
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.bookings
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.bookings
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.contracts
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.contracts
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.contracts
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.subscriptions
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.subscriptions
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.subscriptions
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.invoices
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.invoices
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.invoices
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.invoice_lines
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.invoice_lines
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.invoice_lines
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.payments
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.payments
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.payments
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.refunds
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.refunds
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.refunds
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.files
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.files
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.files
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.consents
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.consents
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.consents
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_insert after insert on public.data_requests
  referencing new table as new_rows for each statement execute function audit.write();
create trigger audit_update after update on public.data_requests
  referencing old table as old_rows new table as new_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.data_requests
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.households
  referencing old table as old_rows for each statement execute function audit.write();
create trigger audit_delete after delete on public.guests
  referencing old table as old_rows for each statement execute function audit.write();
