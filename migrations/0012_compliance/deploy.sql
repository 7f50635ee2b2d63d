-- requires: 0006_crm, 0007_guests, 0008_forms, 0009_booking, 0010_money, 0011_communication
-- The rights of the people in the data: what they agreed to, what they asked for, and the map of where they are, which
-- drives export and erasure. docs/gdpr.md says what is kept, and what to do with an address that two people share.

-- Only ever added to: a withdrawal is a further row. It proves what was agreed (GDPR article 7), so it outlives erasure.
create table public.consents (
  id uuid primary key default app.uuid_v7(),
  profile_id uuid not null references public.profiles,
  purpose text not null check (purpose in ('terms', 'privacy', 'marketing', 'analytics', 'photo_sharing')),
  granted boolean not null,
  policy_version text not null check (policy_version ~ '^[A-Za-z0-9._-]{1,40}$'),
  source text not null default 'web' check (source in ('web', 'app', 'paper', 'import')),
  recorded_at timestamptz not null default now()
);
create index consents_profile_id_idx on public.consents (profile_id, purpose, recorded_at);
comment on table public.consents is 'what people agreed to and withdrew: only ever added to';

create table public.data_requests (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  subject_email text not null
    check (length(subject_email) <= 254 and subject_email = lower(subject_email)
           and subject_email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  kind text not null check (kind in ('export', 'erasure')),
  status text not null default 'open' check (status in ('open', 'done', 'refused')),
  reason text check (length(reason) <= 2000),
  requested_by uuid,
  due_at timestamptz not null default now() + interval '30 days',
  completed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, requested_by) references public.memberships (organization_id, id)
    on delete set null (requested_by),
  check ((status = 'open') = (completed_at is null)),
  check (status <> 'refused' or reason is not null)
);
create index data_requests_requested_by_idx on public.data_requests (organization_id, requested_by);
create index data_requests_open_idx on public.data_requests (organization_id, due_at) where status = 'open';
comment on table public.data_requests is 'who asked for their data or its erasure, and what came of it';

create trigger touch before update on public.data_requests for each row execute function app.touch_updated_at();
create trigger keep_tenant before update of profile_id on public.consents for each row
  when (old.profile_id is distinct from new.profile_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.data_requests for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();

-- why not FORCE, and why everything is revoked first: 0003_tenancy
alter table public.consents enable row level security;
alter table public.data_requests enable row level security;
revoke all on table public.consents, public.data_requests from public, anon, authenticated, service_role;

create policy own_read on public.consents for select to authenticated
  using (profile_id = (select auth.uid()));
create policy own_insert on public.consents for insert to authenticated
  with check (profile_id = (select auth.uid()));
grant select, insert (profile_id, purpose, granted, policy_version, source) on public.consents to authenticated;

create policy admins_read on public.data_requests for select to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
create policy admins_insert on public.data_requests for insert to authenticated
  with check (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select, insert (organization_id, subject_email, kind, reason, requested_by) on public.data_requests
  to authenticated;

grant select, insert on public.consents to service_role;
grant select, insert, update on public.data_requests to service_role;

-- The subject map, first half: how the rows of a person are found. `found_where` is a condition over the row `t`; $1 is
-- the profile, $2 the address. With a parent, `p` is a row of the parent that is the person's and $3 all their keys;
-- $4 are the keys of every row found before. Later steps build on earlier ones.
create table app.personal_rows (
  relation text not null,
  found_by text not null check (found_by in ('profile', 'email', 'parent', 'key')),
  parent text,
  found_where text not null,
  step smallint not null,
  primary key (relation, found_where),
  check ((found_by = 'parent') = (parent is not null))
);
comment on table app.personal_rows is 'the subject map: how the rows of a person are found';

-- Second half: every column that can hold text, and what erasure makes of it. `new_value` is an expression over the row
-- `t`. Where `only_where` does not hold, the value is kept, for the reason given. In free text (`mentions`) the person's
-- address is masked in the rows of others, too. What is personal or secret never reaches the audit log.
create table app.personal_data (
  relation text not null,
  column_name text not null,
  class text not null check (class in ('personal', 'secret', 'impersonal')),
  action text check (action in ('null', 'replace', 'delete', 'keep')),
  new_value text,
  only_where text,
  mentions boolean not null default false,
  reason text,
  primary key (relation, column_name),
  check (class <> 'personal' or action is not null or mentions or reason is not null),
  check ((action is not distinct from 'replace') = (new_value is not null)),
  check (reason is not null or only_where is null and action is distinct from 'keep')
);
comment on table app.personal_data is 'the subject map: columns that tell about people, and what erasure makes of each';

alter table app.personal_rows enable row level security;
alter table app.personal_data enable row level security;
revoke all on table app.personal_rows, app.personal_data from public, anon, authenticated, service_role;

insert into app.personal_rows (step, relation, found_by, parent, found_where) values
  (1, 'public.profiles', 'profile', null, 't.id = $1'),
  (1, 'public.memberships', 'profile', null, 't.profile_id = $1'),
  (1, 'public.wedding_people', 'profile', null, 't.profile_id = $1'),
  (1, 'public.messages', 'profile', null, 't.sender_id = $1'),
  (1, 'public.notifications', 'profile', null, 't.profile_id = $1'),
  (1, 'public.consents', 'profile', null, 't.profile_id = $1'),
  -- a row that is tied to somebody else is theirs, whatever address it shows
  (1, 'public.wedding_people', 'email', null, 't.email = $2 and (t.profile_id is null or t.profile_id = $1)'),
  (1, 'public.invitations', 'email', null, 't.email = $2'),
  (1, 'public.wedding_vendors', 'email', null, 't.contact_email = $2'),
  (1, 'public.clients', 'email', null, 't.email = $2'),
  (1, 'public.households', 'email', null, 't.email = $2'),
  (1, 'public.guests', 'email', null, 't.email = $2'),
  (1, 'public.form_submissions', 'email', null, 't.submitted_email = $2'),
  (1, 'public.data_requests', 'email', null, 't.subject_email = $2'),
  (2, 'public.weddings', 'parent', 'public.wedding_people', 'p.wedding_id = t.id and p.role = ''partner'''),
  -- the card of a household goes with the last of its guests
  (2, 'public.households', 'parent', 'public.guests', 'p.household_id = t.id and not exists (
     select from public.guests as o where o.household_id = t.id and o.id <> all ($3))'),
  (2, 'public.rsvps', 'parent', 'public.guests', 't.guest_id = p.id'),
  (2, 'public.client_notes', 'parent', 'public.clients', 't.client_id = p.id'),
  (2, 'public.tasks', 'parent', 'public.clients', 't.client_id = p.id'),
  (2, 'public.form_drafts', 'parent', 'public.clients', 't.client_id = p.id'),
  (2, 'public.form_submissions', 'parent', 'public.clients', 't.client_id = p.id'),
  (2, 'public.files', 'parent', 'public.clients', 't.client_id = p.id'),
  (2, 'public.contracts', 'parent', 'public.clients', 't.client_id = p.id'),
  (2, 'public.invoices', 'parent', 'public.clients', 't.client_id = p.id'),
  (3, 'public.invoice_lines', 'parent', 'public.invoices', 't.invoice_id = p.id'),
  (3, 'public.payments', 'parent', 'public.invoices', 't.invoice_id = p.id'),
  (4, 'public.refunds', 'parent', 'public.payments', 't.payment_id = p.id'),
  -- what the provider sent names the person in its own words: found by the payment, the refund, or the address in it
  (4, 'public.stripe_events', 'parent', 'public.payments',
      'strpos(t.payload::text, to_jsonb(p.provider_payment_id)::text) > 0'),
  (5, 'public.stripe_events', 'parent', 'public.refunds',
      'strpos(t.payload::text, to_jsonb(p.provider_refund_id)::text) > 0'),
  (1, 'public.stripe_events', 'email', null, 't.payload::text ~* app.address_pattern($2)');

insert into app.personal_data (relation, column_name, class, action, new_value, only_where, mentions, reason) values
  ('public.profiles', 'email', 'personal', 'replace', '''erased@erased.invalid''', null, false, null),
  ('public.profiles', 'display_name', 'personal', 'replace', '''erased''', null, false, null),
  ('public.memberships', 'status', 'impersonal', 'replace', '''suspended''',
     't.role <> ''owner'' or exists (select from public.memberships as o where o.organization_id = t.organization_id
       and o.role = ''owner'' and o.status = ''active'' and o.id <> t.id)', false,
     'the only owner of a supplier: ownership has to be handed over first'),
  ('public.invitations', 'email', 'personal', 'delete', null, null, false, null),
  ('public.invitations', 'token_hash', 'secret', null, null, null, false, null),
  ('public.api_keys', 'name', 'personal', null, null, null, true, null),
  ('public.api_keys', 'secret_hash', 'secret', null, null, null, false, null),

  ('public.weddings', 'title', 'personal', 'replace', '''erased''', null, true, null),
  ('public.weddings', 'venue_name', 'personal', null, null, null, true, null),
  ('public.wedding_people', 'profile_id', 'impersonal', 'null', null, null, false, null),
  ('public.wedding_people', 'given_name', 'personal', 'replace', '''erased''', null, false, null),
  ('public.wedding_people', 'family_name', 'personal', 'replace', '''''', null, false, null),
  ('public.wedding_people', 'email', 'personal', 'null', null, null, false, null),
  ('public.wedding_vendors', 'contact_email', 'personal', 'null', null, null, false, null),
  ('public.wedding_events', 'name', 'personal', null, null, null, true, null),
  ('public.wedding_events', 'place', 'personal', null, null, null, true, null),
  ('public.timeline_items', 'title', 'personal', null, null, null, true, null),
  ('public.timeline_items', 'notes', 'personal', null, null, null, true, null),

  ('public.clients', 'name', 'personal', 'replace', '''erased''', null, false, null),
  ('public.clients', 'partner_name', 'personal', 'null', null, null, false, null),
  ('public.clients', 'email', 'personal', 'null', null, null, false, null),
  ('public.clients', 'phone', 'personal', 'null', null, null, false, null),
  ('public.clients', 'source', 'personal', 'null', null, null, true, null),
  ('public.client_notes', 'body', 'personal', 'replace', '''erased''', null, true, null),
  ('public.tasks', 'title', 'personal', 'replace', '''erased''', null, true, null),

  ('public.households', 'name', 'personal', 'replace', '''erased''', null, true, null),
  ('public.households', 'address', 'personal', 'null', null, null, true, null),
  ('public.households', 'email', 'personal', 'null', null, null, false, null),
  ('public.guests', 'given_name', 'personal', 'replace', '''erased''', null, false, null),
  ('public.guests', 'family_name', 'personal', 'replace', '''''', null, false, null),
  ('public.guests', 'email', 'personal', 'null', null, null, false, null),
  ('public.guests', 'phone', 'personal', 'null', null, null, false, null),
  ('public.guests', 'dietary', 'personal', 'null', null, null, true, null),
  ('public.rsvps', 'meal', 'personal', 'null', null, null, true, null),
  ('public.rsvps', 'message', 'personal', 'null', null, null, true, null),
  ('public.seating_tables', 'name', 'personal', null, null, null, true, null),

  ('public.forms', 'title', 'personal', null, null, null, true, null),
  ('public.form_versions', 'definition', 'personal', 'keep', null, null, true,
     'a version of a form never changes; what a supplier says of itself there it takes back with a new version'),
  ('public.form_drafts', 'answers', 'personal', 'delete', null, null, true, null),
  ('public.form_submissions', 'answers', 'personal', 'replace', '''{}''::jsonb', null, true, null),
  ('public.form_submissions', 'submitted_email', 'personal', 'null', null, null, false, null),

  ('public.resources', 'name', 'personal', null, null, null, true, null),
  ('public.contracts', 'title', 'personal', 'replace', '''erased''', 't.status in (''draft'', ''sent'')', true,
     'signed or declared void: kept as it was agreed, for claims and taxes (GDPR article 17(3)(b) and (e))'),
  ('public.contracts', 'body', 'personal', 'replace', '''''', 't.status in (''draft'', ''sent'')', true,
     'signed or declared void: kept as it was agreed, for claims and taxes (GDPR article 17(3)(b) and (e))'),
  -- declared void and never signed: nobody agreed to anything, and it cannot be changed either
  ('public.contracts', 'signed_name', 'personal', 'delete', null,
     't.status = ''void'' and t.signed_at is null
       and not exists (select from public.invoices as i where i.contract_id = t.id)', false,
     'signed or declared void: kept as it was agreed, for claims and taxes (GDPR article 17(3)(b) and (e))'),
  ('public.invoices', 'notes', 'personal', 'null', null, null, true, null),
  ('public.invoice_lines', 'description', 'personal', 'replace', '''erased''',
     'exists (select from public.invoices as i where i.id = t.invoice_id and i.status = ''draft'')', true,
     'issued: invoices are kept unchanged, for taxes (GDPR article 17(3)(b))'),
  ('public.payments', 'failure_reason', 'personal', 'null', null, null, true, null),
  ('public.payments', 'provider_payment_id', 'personal', 'keep', null, null, false,
     'the key of a payment in the accounts, for taxes (GDPR article 17(3)(b)); the provider knows whose it is'),
  ('public.refunds', 'reason', 'personal', 'null', null, null, true, null),
  ('public.refunds', 'provider_refund_id', 'personal', 'keep', null, null, false,
     'the key of a refund in the accounts, for taxes (GDPR article 17(3)(b)); the provider knows whose it is'),
  ('public.stripe_events', 'provider_payment_id', 'personal', 'keep', null, null, false,
     'the key of a payment in the accounts, for taxes (GDPR article 17(3)(b)); the provider knows whose it is'),
  ('public.stripe_events', 'payload', 'personal', 'replace', 'app.masked_event(t.payload)', null, false, null),
  ('public.stripe_events', 'reason', 'personal', null, null, null, true, null),

  ('public.conversations', 'subject', 'personal', null, null, null, true, null),
  ('public.messages', 'body', 'personal', 'replace', '''erased''', null, true, null),
  ('public.notifications', 'title', 'personal', 'replace', '''erased''', null, true, null),
  ('public.notifications', 'body', 'personal', 'null', null, null, true, null),
  ('public.files', 'name', 'personal', 'replace', '''erased''', null, true, null),
  ('public.files', 'storage_path', 'personal', 'replace', '''erased/'' || t.id', null, false, null),
  ('public.files', 'sha256', 'secret', 'null', null, null, false, null),

  ('public.data_requests', 'subject_email', 'personal', 'keep', null, null, false,
     'proof that a request was answered (GDPR article 5(2))'),
  ('public.data_requests', 'reason', 'personal', 'keep', null, null, true,
     'proof that a request was answered (GDPR article 5(2))');

-- text that tells about nobody: codes, states, settings, keys that others gave, and what a business says of itself
insert into app.personal_data (relation, column_name, class)
select t.relation, c.column_name, 'impersonal'
from (values
  ('public.organizations', '{name, slug, category, time_zone, status}'::text[]),
  ('public.profiles', '{locale}'),
  ('public.memberships', '{role}'),
  ('public.invitations', '{role}'),
  ('public.api_keys', '{prefix, scopes}'),
  ('public.weddings', '{time_zone, status}'),
  ('public.wedding_people', '{role}'),
  ('public.wedding_vendors', '{category, status, scopes}'),
  ('public.wedding_events', '{kind}'),
  ('public.clients', '{stage, currency}'),
  ('public.guests', '{kind, side}'),
  ('public.rsvps', '{answer}'),
  ('public.forms', '{slug, status}'),
  ('public.form_submissions', '{status}'),
  ('public.packages', '{name, description, currency}'),
  ('public.resources', '{kind}'),
  ('public.bookings', '{status}'),
  ('public.contracts', '{currency, status}'),
  ('public.subscriptions', '{plan, status, currency, provider_customer_id, provider_subscription_id}'),
  ('public.invoices', '{number, status, currency}'),
  ('public.payments', '{status, currency, disputes}'),
  ('public.refunds', '{status, currency}'),
  ('public.stripe_events', '{event_id, type, outcome}'),
  ('public.notifications', '{kind}'),
  ('public.files', '{content_type}'),
  ('public.consents', '{purpose, policy_version, source}'),
  ('public.data_requests', '{kind, status}'),
  ('app.personal_rows', '{relation, found_by, parent, found_where}'),
  ('app.personal_data', '{relation, column_name, class, action, new_value, only_where, reason}')
) as t (relation, columns)
cross join unnest(t.columns) as c (column_name);
-- as personal as the names it is computed from, and erased with them
insert into app.personal_data (relation, column_name, class, action, reason) values
  ('public.wedding_people', 'full_name', 'personal', null, 'computed from the names'),
  ('public.guests', 'full_name', 'personal', null, 'computed from the names');

-- An address as a pattern that finds it as a whole, in any case: ann@example.com is not in joann@example.com.
create function app.address_pattern(address text) returns text
  language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select '(?i)(?<![[:alnum:]._%+-])' || regexp_replace(address, '([^[:alnum:]])', '\\\1', 'g')
           || '(?![[:alnum:]_-]|[.][[:alnum:]])'
  $$;
comment on function app.address_pattern(text) is 'a regular expression for exactly this address, in any case';

-- An event of the payment provider without the person: of everything it says only keys, amounts, states and times stay,
-- which is what 0010_money reads, so that one still waiting can be acted on afterwards. Named is what stays, not what
-- goes: the provider adds fields without asking.
create function app.masked_event(payload jsonb) returns jsonb
  language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp
  as $$
declare
  known constant text[] := array['id', 'object', 'type', 'created', 'livemode', 'amount', 'amount_received',
    'amount_captured', 'amount_refunded', 'currency', 'status', 'payment_intent', 'charge', 'invoice_id',
    'organization_id', 'customer', 'unit_amount', 'current_period_end', 'code'];
begin
  return case jsonb_typeof(payload)
    when 'object' then (
      select coalesce(jsonb_object_agg(e.key, case
               when jsonb_typeof(e.value) in ('object', 'array', 'null') then app.masked_event(e.value)
               when e.key = any (known) and e.value #>> '{}' ~ '^[A-Za-z0-9_.:-]{1,255}$' then e.value
               else '"<erased>"' end), '{}')
      from jsonb_each(payload) as e)
    when 'array' then (
      select coalesce(jsonb_agg(app.masked_event(e.value) order by e.ordinality), '[]')
      from jsonb_array_elements(payload) with ordinality as e (value, ordinality))
    when 'null' then payload
    else '"<erased>"' end;
end
$$;
comment on function app.masked_event(jsonb) is 'an event of the payment provider with nothing left in it about a person';

-- Whether an address is seen to be more than one person's: another profile has it, a row of somebody else shows it, or
-- two different names stand beside it in one wedding. Then it does not tell whose a row is.
create function app.address_is_shared(address text, person uuid) returns boolean
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select exists (
      select from (
        select p.id from public.profiles as p where p.email = address
        union
        select w.profile_id from public.wedding_people as w where w.email = address and w.profile_id is not null
        union
        select person where person is not null
      ) as known (id)
      having count(*) > 1
    ) or exists (
      select from public.guests as g where g.email = address
      group by g.wedding_id having count(distinct lower(g.full_name)) > 1
    ) or exists (
      select from public.wedding_people as w where w.email = address
      group by w.wedding_id having count(distinct lower(w.full_name)) > 1
    )
  $$;
comment on function app.address_is_shared(text, uuid) is 'whether more than one person is seen to use this address';

-- Whom a request is about. Alone, an address stands for the one profile that has it, unless it is shared. `by_address` is
-- the address where it may be used to find rows: a shared one only if nobody was named, for then all of them asked.
create function app.subject(profile uuid, email text, out person uuid, out address text, out by_address text)
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
declare
  shared boolean;
begin
  address := nullif(lower(btrim(email)), '');
  if profile is null and address is null then
    raise exception 'nobody is named' using errcode = 'null_value_not_allowed', hint = 'Pass a profile, an address, or both.';
  end if;
  shared := address is not null and app.address_is_shared(address, profile);
  person := coalesce(profile, case when not shared then (select p.id from public.profiles as p where p.email = address) end);
  by_address := case when not shared or profile is null then address end;
end
$$;
comment on function app.subject(uuid, text) is 'whom a request is about, and whether the address tells whose a row is';

-- The keys of all rows of a person, table by table: one statement for each line of app.personal_rows.
create function app.rows_of_person(person uuid, address text) returns table (relation text, keys uuid[])
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
declare
  way app.personal_rows;
  found_keys jsonb := '{}';
  everything uuid[] := '{}';
  parents uuid[];
  more uuid[];
begin
  for way in
    select r.* from app.personal_rows as r
    where (r.found_by <> 'profile' or person is not null) and (r.found_by <> 'email' or address is not null)
    order by r.step, r.relation, r.found_where
  loop
    parents := array(select jsonb_array_elements_text(found_keys -> way.parent)::uuid);
    continue when way.found_by = 'parent' and parents = '{}';
    execute format('select array(select t.id from %s as t where %s and t.id <> all ($5))', way.relation::regclass,
      case when way.parent is null then way.found_where
           else format('exists (select from %s as p where p.id = any ($3) and %s)', way.parent::regclass, way.found_where)
      end)
      into more
      using person, address, parents, everything,
            array(select jsonb_array_elements_text(found_keys -> way.relation)::uuid);
    found_keys := jsonb_set(found_keys, array[way.relation],
                            coalesce(found_keys -> way.relation, '[]') || to_jsonb(more));
    everything := everything || more;
  end loop;
  return query
    select f.key, array(select jsonb_array_elements_text(f.value)::uuid)
    from jsonb_each(found_keys) as f
    where f.value <> '[]'
    order by f.key collate "C";
end
$$;
comment on function app.rows_of_person(uuid, text) is 'the keys of the rows of a person, by the subject map';

-- Column by column, over the row `t`: when erasure changes the value and to what, and when it stays.
create function app.erasure_of(of_relation text)
  returns table (column_name text, action text, new_value text, changes text, stays text, reason text)
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select d.column_name, d.action, v.new_value,
           format(case d.action when 'keep' then 'false' when 'delete' then '(%s)'
                  else '(%s) and t.%I is distinct from %s' end, v.applies, d.column_name, v.new_value),
           format(case d.action when 'keep' then '%2$s' else '(%1$s) is not true and %2$s' end, v.applies,
                  format('nullif(t.%I::text, '''') is not null', d.column_name)),
           d.reason
    from app.personal_data as d
    cross join lateral (select coalesce(d.only_where, 'true'), coalesce(d.new_value, 'null')) as v (applies, new_value)
    where d.relation = of_relation and d.action is not null
    order by d.column_name collate "C"
  $$;
comment on function app.erasure_of(text) is 'what erasure does to each column of a table, as conditions over a row';

-- Rows first, then columns: counted one by one, and changed in one statement.
create function app.erase_rows(of_relation text, keys uuid[])
  returns table (relation text, column_name text, action text, rows bigint, reason text)
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  plan record;
  gone bigint := 0;
  counted bigint[];
begin
  select string_agg(format('count(*) filter (where %s), count(*) filter (where %s)', e.changes, e.stays), ', ') as counts,
         string_agg(format('%I = case when %s then %s else t.%1$I end', e.column_name, e.changes, e.new_value), ', ')
           filter (where e.action in ('null', 'replace')) as assignments,
         string_agg(format('(%s)', e.changes), ' or ') filter (where e.action in ('null', 'replace')) as changing,
         string_agg(e.changes, ' or ') filter (where e.action = 'delete') as deleting
  into plan
  from app.erasure_of(of_relation) as e;
  if plan.counts is null then
    return;
  end if;
  if plan.deleting is not null then
    execute format('delete from %s as t where t.id = any ($1) and (%s)', of_relation::regclass, plan.deleting) using keys;
    get diagnostics gone = row_count;
  end if;
  execute format('select array[%s] from %s as t where t.id = any ($1)', plan.counts, of_relation::regclass)
    into counted using keys;
  if plan.changing is not null then
    execute format('update %s as t set %s where t.id = any ($1) and (%s)', of_relation::regclass, plan.assignments,
                   plan.changing) using keys;
  end if;
  return query
    select of_relation, e.column_name, l.action, l.rows, l.reason
    from app.erasure_of(of_relation) with ordinality as e (column_name, action, new_value, changes, stays, reason, n)
    cross join lateral (values
      (e.action, case e.action when 'delete' then gone else counted[2 * e.n - 1] end, null),
      ('keep', counted[2 * e.n], e.reason)) as l (action, rows, reason)
    where l.rows > 0;
end
$$;
comment on function app.erase_rows(text, uuid[]) is 'erases these rows of a table by the subject map, and tells what was done';

-- Where others may have written an address down: `seen` is a condition over the row `t`, with $1 the address and $2 its
-- pattern. The plain search comes first, being much the cheaper of the two.
create function app.free_text()
  returns table (relation text, column_name text, seen text, may text, masked text, reason text)
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select d.relation, d.column_name,
           format('strpos(lower(t.%I::text), $1) > 0 and t.%1$I::text ~ $2', d.column_name),
           format('(%s)', case when d.action = 'keep' then 'false' else coalesce(d.only_where, 'true') end),
           format('regexp_replace(t.%I::text, $2, ''***'', ''g'')::%s', d.column_name, a.atttypid::regtype),
           d.reason
    from app.personal_data as d
    join pg_attribute as a on a.attrelid = d.relation::regclass and a.attname = d.column_name
    where d.mentions
    order by d.relation collate "C", d.column_name collate "C"
  $$;
comment on function app.free_text() is 'the columns of free text, and how an address is found and masked in each';

-- Only the address is masked, by no more letters than any address has, so that every length still fits; what else stands
-- there is somebody else's. `keys` are the person's own rows, which were told about before.
create function app.erase_mentions(address text, keys uuid[])
  returns table (relation text, column_name text, action text, rows bigint, reason text)
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  pattern constant text := app.address_pattern(address);
  spot record;
  counted bigint[];
begin
  for spot in select * from app.free_text() loop
    execute format('select array[count(*) filter (where %s), count(*) filter (where not %1$s and t.id <> all ($3))]
                    from %s as t where %s', spot.may, spot.relation::regclass, spot.seen)
      into counted using address, pattern, keys;
    if counted[1] > 0 then
      execute format('update %s as t set %I = %s where %s and %s', spot.relation::regclass, spot.column_name, spot.masked,
                     spot.may, spot.seen) using address, pattern;
    end if;
    return query
      select spot.relation, spot.column_name, l.action, l.rows, l.reason
      from (values ('mask', counted[1], 'the address, in what somebody else wrote'), ('keep', counted[2], spot.reason))
        as l (action, rows, reason)
      where l.rows > 0;
  end loop;
end
$$;
comment on function app.erase_mentions(text, uuid[]) is 'masks an address in free text wherever it stands, and tells where';

-- What an address finds that is not touched, because it does not tell whose these rows are.
create function app.left_alone(person uuid, address text, by_address text)
  returns table (relation text, column_name text, action text, rows bigint, reason text)
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
declare
  spot record;
  counted bigint;
begin
  for spot in
    select 'public.profiles' as relation, 't.email = $2 and t.id is distinct from $1' as found_where
    union all
    select 'public.wedding_people', 't.email = $2 and t.profile_id is distinct from $1 and t.profile_id is not null'
    union all
    select r.relation, r.found_where from app.personal_rows as r where r.found_by = 'email' and by_address is null
  loop
    execute format('select count(*) from %s as t where %s', spot.relation::regclass, spot.found_where)
      into counted using person, address;
    return query
      select spot.relation, null::text, 'left'::text, counted,
             'the address is shared: it does not tell whose rows these are'
      where counted > 0;
  end loop;
end
$$;
comment on function app.left_alone(uuid, text, text) is 'rows with a shared address, which are left to somebody''s decision';

-- The rows of one table that tell about a person: all personal columns of their own rows, of others' only the text that
-- has the address in it.
create function app.export_rows(of_relation text, keys uuid[], address text) returns jsonb
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
declare
  plan record;
  result jsonb;
begin
  select string_agg(format('(%L, to_jsonb(t.%I), %s)', d.column_name, d.column_name, coalesce(f.seen, 'false')), ', '
                    order by d.column_name collate "C") as columns,
         coalesce(string_agg(f.seen, ' or '), 'false') as seen
  into plan
  from app.personal_data as d
  left join app.free_text() as f on f.relation = d.relation and f.column_name = d.column_name
  where d.relation = of_relation and d.class = 'personal';
  execute format(
    'select jsonb_agg(e.entry order by t.id) from %s as t
     cross join lateral (
       select jsonb_object_agg(c.name, c.value) from (values %s) as c (name, value, seen) where c.seen or t.id = any ($3)
     ) as e (entry)
     where t.id = any ($3) or (%s)', of_relation::regclass, plan.columns, plan.seen)
    into result using address, app.address_pattern(address), keys;
  return result;
end
$$;
comment on function app.export_rows(text, uuid[], text) is 'what one table tells about a person';

create function api.export_person(profile uuid, email text) returns jsonb
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    with subject as materialized (
      select s.* from app.subject(profile, email) as s
    ), own as materialized (
      select r.* from subject as s cross join app.rows_of_person(s.person, s.by_address) as r
    )
    select coalesce(jsonb_object_agg(e.relation, e.entries) filter (where e.entries is not null), '{}')
    from (
      select m.relation, app.export_rows(m.relation, coalesce(own.keys, '{}'), s.by_address) as entries
      from subject as s
      cross join (select distinct d.relation from app.personal_data as d where d.class = 'personal') as m
      left join own on own.relation = m.relation
    ) as e
  $$;
comment on function api.export_person(uuid, text) is
  'everything personal about a profile, an address, or both, table by table';

create function api.erase_person(profile uuid, email text, at timestamptz)
  returns table (relation text, column_name text, action text, rows bigint, reason text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  subject record;
  own record;
  keys uuid[] := '{}';
  undecided boolean;
  done bigint;
begin
  if at is null then
    raise exception 'no time is given' using errcode = 'null_value_not_allowed';
  end if;
  select * into subject from app.subject(profile, email);
  for own in select * from app.rows_of_person(subject.person, subject.by_address) loop
    keys := keys || own.keys;
    return query select * from app.erase_rows(own.relation, own.keys);
  end loop;
  if subject.by_address is not null then
    return query select * from app.erase_mentions(subject.by_address, keys);
  end if;
  if subject.address is not null then
    return query select * from app.left_alone(subject.person, subject.address, subject.by_address);
    undecided := found;
    update public.data_requests as d set status = 'done', completed_at = at
    where d.subject_email = subject.address and d.kind = 'erasure' and d.status = 'open' and not undecided;
    get diagnostics done = row_count;
    return query select 'public.data_requests', 'status', 'done', done, null::text where done > 0;
  end if;
end
$$;
comment on function api.erase_person(uuid, text, timestamptz) is
  'erases a profile, an address, or both from every table, and tells what was done and what is kept, with the reason';

-- What the map forgot: every column that could hold text, found in the catalog, so that one added later is searched, too.
-- Left out are only types that cannot: keys, numbers, times and their ranges. Bytes are searched as the text they may be.
create function api.residual_scan(terms text[]) returns table (relation text, column_name text, rows bigint)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  place record;
  counted bigint[];
begin
  if coalesce(cardinality(terms), 0) = 0
     or exists (select from unnest(terms) as s (term) where btrim(coalesce(s.term, '')) = '') then
    raise exception 'an empty term is found everywhere' using errcode = 'invalid_parameter_value';
  end if;
  for place in
    select c.oid::regclass as name, array_agg(a.attname::text order by a.attnum) as columns,
           string_agg(format(
             'count(*) filter (where exists (select from unnest($1) as s (term) where strpos(lower(%s), lower(%s)) > 0))',
             format(case t.typname when 'bytea' then 'encode(t.%I, ''escape'')' else 't.%I::text' end, a.attname),
             case t.typname when 'bytea' then 'encode(convert_to(s.term, getdatabaseencoding()), ''escape'')'
                            else 's.term' end), ', ' order by a.attnum) as counts
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace and n.nspname in ('public', 'app', 'audit', 'ops')
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type as t on t.oid = a.atttypid
    join pg_type as b on b.oid = case when t.typcategory = 'A' then t.typelem when t.typtype = 'd' then t.typbasetype
                                      else t.oid end
    where c.relkind in ('r', 'p', 'm') and not c.relispartition
      and b.typcategory not in ('B', 'D', 'N', 'R', 'T') and b.oid <> 'uuid'::regtype
    group by c.oid
  loop
    execute format('select array[%s] from %s as t', place.counts, place.name) into counted using terms;
    return query
      select place.name::text, f.column_name, f.rows
      from unnest(place.columns, counted) as f (column_name, rows)
      where f.rows > 0;
  end loop;
end
$$;
comment on function api.residual_scan(text[]) is 'where any of these terms still stands, in every column of every table';

revoke all on function app.address_pattern(text), app.masked_event(jsonb), app.address_is_shared(text, uuid),
    app.subject(uuid, text), app.rows_of_person(uuid, text), app.erasure_of(text), app.erase_rows(text, uuid[]),
    app.free_text(), app.erase_mentions(text, uuid[]), app.left_alone(uuid, text, text),
    app.export_rows(text, uuid[], text), api.export_person(uuid, text), api.erase_person(uuid, text, timestamptz),
    api.residual_scan(text[])
  from public;
grant execute on function api.export_person(uuid, text), api.erase_person(uuid, text, timestamptz),
    api.residual_scan(text[])
  to service_role;
