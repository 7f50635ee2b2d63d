-- requires: 0006_crm, 0009_booking
-- Money. An invoice's price is computed here, from its lines, when it is issued, and then stands; what a payment says is
-- compared with it. Payments, refunds and subscriptions are written by the platform's server side alone, as the events
-- of the payment provider arrive, each once. Nothing here is deleted: the law wants it kept.

create table public.subscriptions (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  plan text not null check (plan in ('free', 'pro')),
  status text not null check (status in ('trialing', 'active', 'past_due', 'cancelled')),
  price_minor bigint not null check (price_minor >= 0),
  currency text not null check (app.currency_ok(currency)),
  provider_customer_id text unique check (length(provider_customer_id) <= 255),
  provider_subscription_id text unique check (length(provider_subscription_id) <= 255),
  current_period_end timestamptz,
  provider_event_at timestamptz,  -- when the provider made the last event that was applied here
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  unique (organization_id)
);
comment on table public.subscriptions is 'what a supplier pays the platform';

create table public.invoices (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  client_id uuid not null,
  contract_id uuid,
  number text not null check (length(number) between 1 and 40),
  status text not null default 'draft' check (status in ('draft', 'issued', 'paid', 'void')),
  currency text not null check (app.currency_ok(currency)),
  net_minor bigint not null default 0,
  tax_minor bigint not null default 0,
  total_minor bigint not null default 0 check (total_minor >= 0),
  paid_minor bigint not null default 0 check (paid_minor >= 0),
  notes text check (length(notes) <= 4000),
  due_on date check (due_on between '1900-01-01' and '2200-01-01'),
  issued_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  unique (organization_id, number),
  foreign key (organization_id, client_id) references public.clients (organization_id, id),
  foreign key (organization_id, contract_id) references public.contracts (organization_id, id),
  check (total_minor = net_minor + tax_minor),
  check (status <> 'draft' or (net_minor = 0 and tax_minor = 0 and paid_minor = 0)),  -- nothing is owed yet
  check (status <> 'paid' or paid_minor >= total_minor),
  check ((status = 'draft') = (issued_at is null) or status = 'void')
);
create index invoices_client_id_idx on public.invoices (organization_id, client_id);
create index invoices_contract_id_idx on public.invoices (organization_id, contract_id);
create index invoices_open_idx on public.invoices (organization_id, due_on) where status = 'issued';
comment on table public.invoices is 'what a client owes; amounts in the smallest unit of the currency';

create table public.invoice_lines (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  invoice_id uuid not null,
  position integer not null check (position >= 1),
  description text not null check (length(description) between 1 and 500),
  quantity integer not null default 1 check (quantity between 1 and 100000),
  unit_minor bigint not null check (unit_minor between -100000000000 and 100000000000),  -- negative: a discount
  tax_basis_points integer not null default 0 check (tax_basis_points between 0 and 10000),
  net_minor bigint not null generated always as (quantity * unit_minor) stored,
  created_at timestamptz not null default now(),
  unique (organization_id, id),
  unique (organization_id, invoice_id, position),
  foreign key (organization_id, invoice_id) references public.invoices (organization_id, id)
);
comment on table public.invoice_lines is 'what an invoice is for';

-- Every event the provider ever sent, first and once, as it was received. Its signature was checked before: a row without
-- a right one cannot exist. No policy, no grant to write: only functions of schema api do. The outcome unknown_… may still
-- become another, as the provider may be faster than our own transaction; so may none at all (an error nobody foresaw).
create table public.stripe_events (
  id uuid primary key default app.uuid_v7(),
  event_id text not null unique check (length(event_id) between 1 and 255),
  type text not null check (length(type) between 1 and 100),
  payload jsonb not null check (jsonb_typeof(payload) = 'object'),
  signature_ok boolean not null check (signature_ok),
  organization_id uuid references public.organizations,
  provider_payment_id text check (length(provider_payment_id) between 1 and 255),  -- the payment it is about
  outcome text check (outcome in ('done', 'ignored', 'price_mismatch', 'currency_mismatch', 'overpaid',
                                  'unknown_invoice', 'unknown_payment', 'unknown_subscription', 'invalid')),
  reason text,
  waiting boolean not null generated always as (outcome is null or starts_with(outcome, 'unknown_')) stored,
  received_at timestamptz not null default now(),
  processed_at timestamptz,  -- last tried
  check (outcome is null or processed_at is not null),
  check (outcome = 'done' or outcome is null or reason is not null)
);
create index stripe_events_organization_id_idx on public.stripe_events (organization_id);
create index stripe_events_payment_idx on public.stripe_events (provider_payment_id) where waiting;
create index stripe_events_waiting_idx on public.stripe_events ((coalesce(processed_at, received_at))) where waiting;
comment on table public.stripe_events is 'events of the payment provider: stored first, once, then acted on';

create table public.payments (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  invoice_id uuid not null,
  provider_payment_id text not null unique check (length(provider_payment_id) between 1 and 255),
  status text not null default 'pending'
    check (status in ('pending', 'processing', 'failed', 'cancelled', 'succeeded', 'refunded', 'disputed')),
  amount_minor bigint not null check (amount_minor > 0),
  refunded_minor bigint not null default 0 check (refunded_minor between 0 and amount_minor),
  disputes jsonb not null default '{}' check (jsonb_typeof(disputes) = 'object'),  -- of each key: open, won, lost
  currency text not null check (app.currency_ok(currency)),
  failure_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, invoice_id) references public.invoices (organization_id, id)
);
create index payments_invoice_id_idx on public.payments (organization_id, invoice_id);
comment on table public.payments is 'what was paid, or tried to; the status follows from facts that only move forward';

create table public.refunds (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  payment_id uuid not null,
  provider_refund_id text not null unique check (length(provider_refund_id) between 1 and 255),
  status text not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
  amount_minor bigint not null check (amount_minor > 0),
  currency text not null check (app.currency_ok(currency)),
  reason text check (length(reason) <= 500),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, payment_id) references public.payments (organization_id, id)
);
create index refunds_payment_id_idx on public.refunds (organization_id, payment_id);
comment on table public.refunds is 'what was paid back';

create trigger touch before update on public.subscriptions for each row execute function app.touch_updated_at();
create trigger touch before update on public.invoices for each row execute function app.touch_updated_at();
create trigger touch before update on public.payments for each row execute function app.touch_updated_at();
create trigger touch before update on public.refunds for each row execute function app.touch_updated_at();
create trigger keep_tenant before update of organization_id on public.subscriptions for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.invoices for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.invoice_lines for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.payments for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.refunds for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();

-- The price is made here and nowhere else: when a draft is issued, from its lines, with the invoice's row locked, as
-- editing a line locks it, too. After that it stands, whoever asks. That it was paid is said by the payment functions
-- alone: they run as the owner of the table.
create function app.keep_issued() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  if tg_op = 'INSERT' then
    if new.status <> 'draft' then
      raise exception 'an invoice begins as a draft'
        using errcode = 'WS005', hint = 'Add its lines, then set the status to issued.';
    end if;
    return new;
  end if;
  if old.status <> 'draft'
     and (new.client_id, new.contract_id, new.number, new.currency, new.net_minor, new.tax_minor, new.total_minor,
          new.issued_at)
         is distinct from
         (old.client_id, old.contract_id, old.number, old.currency, old.net_minor, old.tax_minor, old.total_minor,
          old.issued_at) then
    raise exception 'an issued invoice does not change'
      using errcode = 'WS005', hint = 'Declare it void, and make a new one.';
  end if;
  if new.status <> old.status and (old.status, new.status) not in (
       ('draft', 'issued'), ('draft', 'void'), ('issued', 'paid'), ('issued', 'void')) then
    raise exception 'an invoice that is % does not become %', old.status, new.status
      using errcode = 'WS005', hint = 'A draft is issued; what is issued is paid or declared void.';
  end if;
  if (new.paid_minor <> old.paid_minor or (new.status = 'paid' and old.status <> 'paid'))
     and current_user <> (select pg_get_userbyid(c.relowner) from pg_class as c where c.oid = tg_relid) then
    raise exception 'an invoice is paid by a payment alone'
      using errcode = 'WS005', hint = 'The payment provider''s event sets it.';
  end if;
  if new.status = 'void' and old.status = 'issued' and new.paid_minor > 0 then
    raise exception 'money was paid for this invoice'
      using errcode = 'WS005', hint = 'Pay it back; the invoice stays as it is.';
  end if;
  if new.status = 'issued' and old.status = 'draft' then
    -- half up, line by line, in decimals from the start: such products have more digits than a bigint, double or quotient
    select sum(l.net_minor), sum(floor(0.0001 * l.tax_basis_points * l.net_minor + 0.5)), clock_timestamp()
    into new.net_minor, new.tax_minor, new.issued_at
    from public.invoice_lines as l
    where l.organization_id = new.organization_id and l.invoice_id = new.id;
    if new.net_minor is null then
      raise exception 'an invoice without lines is not issued'
        using errcode = 'check_violation', hint = 'Add its lines first.';
    end if;
    new.total_minor := new.net_minor + new.tax_minor;
  elsif old.status = 'draft' then
    new.issued_at := null;
  end if;
  return new;
end
$$;
comment on function app.keep_issued() is 'trigger: computes an invoice when it is issued and keeps it then (WS005)';
create trigger keep_issued before insert or update on public.invoices for each row execute function app.keep_issued();

-- The invoice's row is locked first: who issues it waits for who edits a line, and the other way round. Who may not see
-- the invoice gets past here, to what the policies and the foreign key say.
create function app.keep_issued_lines() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  found_status text;
begin
  for found_status in
    select i.status
    from public.invoices as i
    where i.id in (new.invoice_id, old.invoice_id)
    order by i.id
    for no key update
  loop
    if found_status <> 'draft' then
      raise exception 'the lines of an issued invoice do not change'
        using errcode = 'WS005', hint = 'Declare the invoice void, and make a new one.';
    end if;
  end loop;
  return case when tg_op = 'DELETE' then old else new end;
end
$$;
comment on function app.keep_issued_lines() is 'trigger: only the lines of a draft change (WS005)';
create trigger keep_issued before insert or update or delete on public.invoice_lines for each row
  execute function app.keep_issued_lines();
revoke all on function app.keep_issued(), app.keep_issued_lines() from public;

-- why not FORCE, and why everything is revoked first: 0003_tenancy
alter table public.subscriptions enable row level security;
alter table public.invoices enable row level security;
alter table public.invoice_lines enable row level security;
alter table public.payments enable row level security;
alter table public.refunds enable row level security;
alter table public.stripe_events enable row level security;

revoke all on table public.subscriptions, public.invoices, public.invoice_lines, public.payments, public.refunds,
    public.stripe_events
  from public, anon, authenticated, service_role;

create policy admins_read on public.subscriptions for select to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select on public.subscriptions to authenticated;

create policy members_read on public.invoices for select to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy admins_insert on public.invoices for insert to authenticated
  with check (organization_id = any ((select app.org_ids('admin'))::uuid[]));
create policy admins_update on public.invoices for update to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select,
  insert (organization_id, client_id, contract_id, number, currency, notes, due_on),
  update (client_id, contract_id, number, status, currency, notes, due_on) on public.invoices to authenticated;

create policy members_read on public.invoice_lines for select to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy admins_insert on public.invoice_lines for insert to authenticated
  with check (organization_id = any ((select app.org_ids('admin'))::uuid[]));
create policy admins_update on public.invoice_lines for update to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select,
  insert (organization_id, invoice_id, position, description, quantity, unit_minor, tax_basis_points),
  update (position, description, quantity, unit_minor, tax_basis_points) on public.invoice_lines to authenticated;

create policy members_read on public.payments for select to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
grant select on public.payments to authenticated;

create policy members_read on public.refunds for select to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
grant select on public.refunds to authenticated;

grant select, insert, update on public.subscriptions, public.invoices, public.invoice_lines, public.payments,
    public.refunds to service_role;
grant select on public.stripe_events to service_role;

-- What an event says is taken as text from outside: each value is used only if it is of the right kind, null otherwise.
create function app.minor_units(value jsonb) returns bigint
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select case when jsonb_typeof(value) = 'number' and value::text ~ '^[0-9]{1,18}$' then value::text::bigint end
  $$;
comment on function app.minor_units(jsonb) is 'a whole number that is not negative, null if it is anything else';

create function app.short_text(value jsonb) returns text
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select case when jsonb_typeof(value) = 'string' and length(value #>> '{}') between 1 and 255 then value #>> '{}' end
  $$;
comment on function app.short_text(jsonb) is 'a text of 1 to 255 characters, null if it is anything else';

create function app.payment_of(event_type text, payload jsonb) returns text
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select app.short_text(payload #> case
      when starts_with(event_type, 'payment_intent.') then '{data,object,id}'::text[]
      when starts_with(event_type, 'refund.') or event_type = 'charge.refund.updated'
        or starts_with(event_type, 'charge.dispute.') then '{data,object,payment_intent}'
    end)
  $$;
comment on function app.payment_of(text, jsonb) is 'the provider''s key of the payment that an event is about';

-- Events come in any order. What they say is kept as facts that only ever move forward by rank (how far the payment
-- came, each refund, each dispute), and the status is computed from them: so the order makes no difference at the end.
create function app.payment_rank(status text) returns integer
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select case status when 'pending' then 0 when 'processing' then 1 when 'failed' then 2 when 'cancelled' then 3
                       else 4 end
  $$;
comment on function app.payment_rank(text) is 'how far a payment came; 4: the money was taken';

create function app.payment_status(came_to text, amount bigint, refunded bigint, disputes jsonb) returns text
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $$
    select case
      when app.payment_rank(came_to) < 4 then came_to
      when jsonb_path_exists(disputes, '$.* ? (@ == "open" || @ == "lost")') then 'disputed'
      when refunded >= amount then 'refunded'
      else 'succeeded'
    end
  $$;
comment on function app.payment_status(text, bigint, bigint, jsonb) is 'a payment''s status, from the facts known of it';

create type app.verdict as (outcome text, reason text, organization_id uuid);
comment on type app.verdict is 'what came of an event of the payment provider';

create function app.settled(outcome text, reason text default null, organization_id uuid default null)
  returns app.verdict
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  as $$ select outcome, reason, organization_id $$;
comment on function app.settled(text, text, uuid) is 'makes a verdict';

-- Locks are taken in one order everywhere: the provider's key of the payment (it may have no row yet), the payment, its
-- invoice.
create function app.lock_payment(provider_payment text, out payment public.payments, out invoice public.invoices)
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  select * into payment from public.payments as p where p.provider_payment_id = provider_payment for no key update;
  select * into invoice from public.invoices as i
  where i.organization_id = payment.organization_id and i.id = payment.invoice_id for no key update;
end
$$;
comment on function app.lock_payment(text) is 'a payment and its invoice, locked in this order; null if there is none';

create function app.settle_payment(event public.stripe_events) returns app.verdict
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  object constant jsonb := event.payload #> '{data,object}';
  came_to constant text := case event.type
    when 'payment_intent.processing' then 'processing' when 'payment_intent.payment_failed' then 'failed'
    when 'payment_intent.canceled' then 'cancelled' when 'payment_intent.succeeded' then 'succeeded' end;
  amount constant bigint := app.minor_units(
    object -> case came_to when 'succeeded' then 'amount_received' else 'amount' end);
  currency constant text := upper(app.short_text(object -> 'currency'));
  named constant text := lower(object #>> '{metadata,invoice_id}');
  held record;
  payment public.payments;
  invoice public.invoices;
begin
  if amount is null or currency is null then
    return app.settled('invalid', 'the amount is no whole number of the smallest unit, or no currency is named');
  end if;
  select * into held from app.lock_payment(event.provider_payment_id);
  payment := held.payment;
  invoice := held.invoice;
  if payment.id is null and (named is null or exists (
       select from public.invoices as i
       where i.id = case when named ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then named::uuid end)) then
    return app.settled('unknown_payment', format('no payment %s was started', event.provider_payment_id));
  elsif payment.id is null or named <> invoice.id::text then
    return app.settled('unknown_invoice', format('the event names invoice %s', left(named, 100)),
                       payment.organization_id);
  elsif currency <> invoice.currency then
    return app.settled('currency_mismatch', format('invoice %s is in %s, the event in %s', invoice.number,
                                                   invoice.currency, left(currency, 20)), invoice.organization_id);
  elsif amount <> invoice.total_minor then
    return app.settled('price_mismatch', format('invoice %s is %s, the event says %s', invoice.number,
                                                invoice.total_minor, amount), invoice.organization_id);
  elsif app.payment_rank(came_to) <= app.payment_rank(payment.status) then
    return app.settled('ignored', format('the payment is %s already', payment.status), invoice.organization_id);
  end if;

  update public.payments as p
  set status = app.payment_status(came_to, p.amount_minor, p.refunded_minor, p.disputes),
      failure_reason = case when came_to = 'failed' then app.short_text(object #> '{last_payment_error,code}') end
  where p.id = payment.id;
  if came_to <> 'succeeded' then
    return app.settled('done', null, invoice.organization_id);
  end if;
  update public.invoices as i
  set paid_minor = i.paid_minor + amount, status = case i.status when 'issued' then 'paid' else i.status end
  where i.id = invoice.id;
  if invoice.status <> 'issued' then
    return app.settled('overpaid', format('invoice %s was %s when this money came', invoice.number, invoice.status),
                       invoice.organization_id);
  end if;
  return app.settled('done', null, invoice.organization_id);
end
$$;
comment on function app.settle_payment(public.stripe_events) is 'acts on an event about how far a payment came';

-- A refund is recorded whether or not the payment's success was heard of yet. One that fails afterwards (the bank sends
-- it back) counts no more.
create function app.settle_refund(event public.stripe_events) returns app.verdict
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  object constant jsonb := event.payload #> '{data,object}';
  key constant text := app.short_text(object -> 'id');
  amount constant bigint := app.minor_units(object -> 'amount');
  currency constant text := upper(app.short_text(object -> 'currency'));
  came_to constant text := case object ->> 'status'
    when 'pending' then 'pending' when 'requires_action' then 'pending' when 'succeeded' then 'succeeded'
    when 'failed' then 'failed' when 'canceled' then 'failed' end;
  ranks constant text[] := array['pending', 'succeeded', 'failed'];
  held record;
  payment public.payments;
  refund public.refunds;
  total bigint;
begin
  if key is null or amount is null or amount = 0 or currency is null or came_to is null then
    return app.settled('invalid', 'the refund''s id, amount, currency or status is missing or of the wrong kind');
  end if;
  select * into held from app.lock_payment(event.provider_payment_id);
  payment := held.payment;
  select * into refund from public.refunds as r where r.provider_refund_id = key;
  if payment.id is null then
    return app.settled('unknown_payment', format('no payment %s was started', event.provider_payment_id));
  elsif currency <> payment.currency then
    return app.settled('currency_mismatch', format('the payment is in %s, the refund in %s', payment.currency,
                                                   left(currency, 20)), payment.organization_id);
  elsif amount > payment.amount_minor or amount <> refund.amount_minor or payment.id <> refund.payment_id then
    return app.settled('price_mismatch', format('a refund of %s (before: %s) for payment %s of %s', amount,
                                                refund.amount_minor, payment.provider_payment_id,
                                                payment.amount_minor), payment.organization_id);
  elsif array_position(ranks, came_to) <= array_position(ranks, refund.status) then
    return app.settled('ignored', format('the refund is %s already', refund.status), payment.organization_id);
  end if;

  insert into public.refunds as r
    (organization_id, payment_id, provider_refund_id, status, amount_minor, currency, reason)
  values (payment.organization_id, payment.id, key, came_to, amount, currency, app.short_text(object -> 'reason'))
  on conflict (provider_refund_id) do update set status = excluded.status;
  select coalesce(sum(r.amount_minor), 0) into total
  from public.refunds as r
  where r.organization_id = payment.organization_id and r.payment_id = payment.id and r.status = 'succeeded';
  update public.payments as p
  set refunded_minor = least(total, p.amount_minor),
      status = app.payment_status(p.status, p.amount_minor, total, p.disputes)
  where p.id = payment.id;
  if total > payment.amount_minor then
    return app.settled('price_mismatch', format('refunds of %s for a payment of %s', total, payment.amount_minor),
                       payment.organization_id);
  end if;
  return app.settled('done', null, payment.organization_id);
end
$$;
comment on function app.settle_refund(public.stripe_events) is 'acts on an event about a refund';

-- A dispute's amount may differ from the payment's, in its currency too: nothing is compared.
create function app.settle_dispute(event public.stripe_events) returns app.verdict
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  object constant jsonb := event.payload #> '{data,object}';
  key constant text := app.short_text(object -> 'id');
  came_to constant text := case
    when object ->> 'status' in ('won', 'warning_closed', 'prevented') then 'won'
    when object ->> 'status' = 'lost' then 'lost'
    when object ->> 'status' in ('warning_needs_response', 'warning_under_review', 'needs_response', 'under_review')
      then 'open' end;
  ranks constant text[] := array['open', 'won', 'lost'];
  held record;
  payment public.payments;
  known jsonb;
begin
  if key is null or came_to is null then
    return app.settled('invalid', 'the dispute''s id or status is missing or none that is known');
  end if;
  select * into held from app.lock_payment(event.provider_payment_id);
  payment := held.payment;
  if payment.id is null then
    return app.settled('unknown_payment', format('no payment %s was started', event.provider_payment_id));
  elsif array_position(ranks, came_to) <= array_position(ranks, payment.disputes ->> key) then
    return app.settled('ignored', format('the dispute is %s already', payment.disputes ->> key),
                       payment.organization_id);
  end if;
  known := payment.disputes || jsonb_build_object(key, came_to);
  update public.payments as p
  set disputes = known, status = app.payment_status(p.status, p.amount_minor, p.refunded_minor, known)
  where p.id = payment.id;
  return app.settled('done', null, payment.organization_id);
end
$$;
comment on function app.settle_dispute(public.stripe_events) is 'acts on an event about a dispute';

-- A subscription goes back and forth between active and past due, so no rank orders its events: the provider's own clock
-- does, and the rank only within the same second. Cancelled is the end.
create function app.settle_subscription(event public.stripe_events) returns app.verdict
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  object constant jsonb := event.payload #> '{data,object}';
  item constant jsonb := object #> '{items,data,0}';
  key constant text := app.short_text(object -> 'id');
  customer constant text := app.short_text(object -> 'customer');
  price constant bigint := app.minor_units(item #> '{price,unit_amount}');
  currency constant text := upper(app.short_text(object -> 'currency'));
  -- seconds since 1970, up to the year 9999
  made_at constant timestamptz := to_timestamp(least(app.minor_units(event.payload -> 'created'), 253402300799));
  ends_at constant timestamptz := to_timestamp(least(
    app.minor_units(coalesce(object -> 'current_period_end', item -> 'current_period_end')), 253402300799));
  came_to constant text := case
    when object ->> 'status' in ('trialing', 'active') then object ->> 'status'
    when object ->> 'status' in ('past_due', 'unpaid', 'incomplete', 'paused') then 'past_due'
    when object ->> 'status' in ('canceled', 'incomplete_expired') then 'cancelled' end;
  ranks constant text[] := array['trialing', 'active', 'past_due', 'cancelled'];
  ours public.subscriptions;
begin
  if key is null or customer is null or price is null or currency is null or made_at is null or came_to is null then
    return app.settled('invalid',
      'the subscription''s id, customer, price, currency or status, or the event''s time is missing or wrong');
  end if;
  select * into ours
  from public.subscriptions as s
  where s.provider_subscription_id = key or (s.provider_subscription_id is null and s.provider_customer_id = customer)
  order by s.provider_subscription_id nulls last
  limit 1
  for no key update;
  if ours.id is null then
    return app.settled('unknown_subscription', format('no subscription %s of customer %s is known', key, customer));
  elsif ours.status = 'cancelled' then
    return app.settled('ignored', 'the subscription is cancelled already', ours.organization_id);
  elsif came_to <> 'cancelled' and currency <> ours.currency then
    return app.settled('currency_mismatch', format('the subscription is in %s, the event in %s', ours.currency,
                                                   left(currency, 20)), ours.organization_id);
  elsif came_to <> 'cancelled' and price <> ours.price_minor then
    return app.settled('price_mismatch', format('the subscription is %s, the event says %s', ours.price_minor, price),
                       ours.organization_id);
  elsif came_to <> 'cancelled'
        and (made_at, array_position(ranks, came_to))
            <= (ours.provider_event_at, array_position(ranks, ours.status)) then
    return app.settled('ignored', 'a later event was acted on before', ours.organization_id);
  end if;
  update public.subscriptions as s
  set status = came_to, provider_subscription_id = key, provider_customer_id = customer, provider_event_at = made_at,
      current_period_end = coalesce(ends_at, s.current_period_end)
  where s.id = ours.id;
  return app.settled('done', null, ours.organization_id);
end
$$;
comment on function app.settle_subscription(public.stripe_events) is 'acts on an event about a supplier''s subscription';

create function app.settle(event public.stripe_events) returns app.verdict
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  is_payment constant boolean := event.type in ('payment_intent.processing', 'payment_intent.payment_failed',
    'payment_intent.canceled', 'payment_intent.succeeded');
  is_refund constant boolean := event.type in ('refund.created', 'refund.updated', 'refund.failed',
    'charge.refund.updated');
  is_dispute constant boolean := starts_with(event.type, 'charge.dispute.');
  is_subscription constant boolean := starts_with(event.type, 'customer.subscription.');
  expected constant text := case when is_payment then 'payment_intent' when is_refund then 'refund'
                                 when is_dispute then 'dispute' when is_subscription then 'subscription' end;
begin
  if expected is null then
    return app.settled('ignored', format('nothing follows from an event of type %s', event.type));
  elsif event.payload #>> '{data,object,object}' is distinct from expected then
    return app.settled('invalid', format('the object in the event is missing, or no %s', expected));
  elsif event.provider_payment_id is null and not is_subscription then
    return app.settled('invalid', 'the event names no payment');
  end if;
  return case when is_payment then app.settle_payment(event) when is_refund then app.settle_refund(event)
              when is_dispute then app.settle_dispute(event) else app.settle_subscription(event) end;
end
$$;
comment on function app.settle(public.stripe_events) is 'acts on an event of the payment provider, by its type';

-- An error that would come again each time must not make the provider send the event for ever: it is written down, and
-- the event waits for a person. One that goes away by itself (a lock, a lost race, a server short of something or going
-- down, the platform not taking writes) undoes everything, and the provider sends the event again.
create function app.try_event(event public.stripe_events, at timestamptz) returns public.stripe_events
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
declare
  verdict app.verdict;
  tried public.stripe_events;
begin
  begin
    verdict := app.settle(event);
  exception when others then
    if left(sqlstate, 2) in ('25', '40', '53', '55', '57', '58', 'XX') or sqlstate in ('WS001', 'WS002') then
      raise;
    end if;
    verdict := app.settled(null, format('error %s: %s', sqlstate, sqlerrm));
  end;
  update public.stripe_events as e
  set outcome = verdict.outcome, reason = verdict.reason, processed_at = at,
      organization_id = coalesce(verdict.organization_id, e.organization_id)
  where e.id = event.id
  returning * into tried;
  return tried;
end
$$;
comment on function app.try_event(public.stripe_events, timestamptz) is 'acts on an event and writes down what came of it';

create function app.payment_key(provider_payment text) returns bigint
  language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
  as $$ select hashtextextended('payment of the provider ' || provider_payment, 0) $$;
comment on function app.payment_key(text) is 'the advisory lock that orders all that happens to a payment';

-- Idempotent: the same payment of the same invoice again is the same row. One payment an invoice, unless the provider
-- says that the one before was cancelled: a failed one may still succeed, and then the client would have paid twice.
create function api.start_payment(invoice uuid, provider_payment text, at timestamptz) returns public.payments
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  payment public.payments;
  owed public.invoices;
  waiting public.stripe_events;
  other text;
begin
  perform pg_advisory_xact_lock(app.payment_key(provider_payment));
  select * into payment from public.payments as p where p.provider_payment_id = provider_payment;
  if payment.invoice_id = invoice then
    return payment;
  elsif payment.id is not null then
    raise exception 'payment % is one of another invoice', provider_payment using errcode = 'unique_violation';
  end if;
  select * into owed from public.invoices as i where i.id = invoice for no key update;
  select p.provider_payment_id into other
  from public.payments as p
  where p.organization_id = owed.organization_id and p.invoice_id = owed.id and p.status <> 'cancelled'
  limit 1;
  if owed.id is null then
    raise exception 'there is no such invoice' using errcode = 'no_data_found';
  elsif owed.status <> 'issued' or owed.total_minor = 0 then
    raise exception 'invoice % is % and % is owed', owed.number, owed.status, owed.total_minor - owed.paid_minor
      using errcode = 'object_not_in_prerequisite_state', hint = 'Only an issued invoice is paid.';
  elsif other is not null then
    raise exception 'invoice % has payment % already', owed.number, other
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Let the client finish that one, or cancel it with the provider first.';
  end if;
  insert into public.payments (organization_id, invoice_id, provider_payment_id, amount_minor, currency)
  values (owed.organization_id, owed.id, provider_payment, owed.total_minor, owed.currency)
  returning * into payment;
  for waiting in
    select * from public.stripe_events as e
    where e.provider_payment_id = provider_payment and e.waiting
    order by e.received_at, e.event_id
    for update
  loop
    perform app.try_event(waiting, at);
  end loop;
  select * into payment from public.payments as p where p.id = payment.id;
  return payment;
end
$$;
comment on function api.start_payment(uuid, text, timestamptz) is
  'records a payment of an invoice at the invoice''s own price, and acts on events of it that came before';

-- For events whose signature was checked, in a transaction of its own. The row first: the unique key makes the second
-- delivery wait for the first, and get its outcome. Whatever the arguments are, there is a row and an outcome.
create function api.receive_payment_event(event text, kind text, payload jsonb, at timestamptz,
                                          out outcome text, out reason text, out repeated boolean)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  body constant jsonb := case when jsonb_typeof(payload) = 'object' then payload
                              else jsonb_build_object('value', payload) end;
  key constant text := case when length(event) between 1 and 255 then event
                            else 'sha256:' || encode(sha256(convert_to(body::text, 'UTF8')), 'hex') end;
  stored public.stripe_events;
begin
  insert into public.stripe_events (event_id, type, payload, signature_ok, provider_payment_id, received_at)
  values (key, case when length(kind) between 1 and 100 then kind else 'invalid' end, body, true,
          app.payment_of(kind, body), at)
  on conflict (event_id) do nothing
  returning * into stored;
  repeated := stored.id is null;
  if repeated then
    select * into stored from public.stripe_events as e where e.event_id = key;
  elsif key is distinct from event or stored.type is distinct from kind then
    update public.stripe_events as e
    set outcome = 'invalid', reason = 'the event has no id or no type', processed_at = at
    where e.id = stored.id
    returning * into stored;
  else
    perform pg_advisory_xact_lock(app.payment_key(stored.provider_payment_id));
    stored := app.try_event(stored, at);
  end if;
  outcome := coalesce(stored.outcome, 'open');
  reason := stored.reason;
end
$$;
comment on function api.receive_payment_event(text, text, jsonb, timestamptz) is
  'stores an event of the payment provider once and acts on it; a repeated one gets the outcome on record';

-- Never waits for a payment that somebody else is at, and so can stop nobody: the next call finds the event again.
create function api.retry_payment_events(at timestamptz, most integer default 100)
  returns table (event text, outcome text, reason text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
declare
  left_over record;
  stored public.stripe_events;
begin
  for left_over in
    select e.id, e.provider_payment_id
    from public.stripe_events as e
    where e.waiting
    order by coalesce(e.processed_at, e.received_at), e.event_id
    limit most
  loop
    continue when not pg_try_advisory_xact_lock(app.payment_key(coalesce(left_over.provider_payment_id, '')));
    select * into stored from public.stripe_events as e where e.id = left_over.id and e.waiting for update skip locked;
    continue when stored.id is null;
    stored := app.try_event(stored, at);
    event := stored.event_id;
    outcome := coalesce(stored.outcome, 'open');
    reason := stored.reason;
    return next;
  end loop;
end
$$;
comment on function api.retry_payment_events(timestamptz, integer) is
  'tries again the events that are waiting, those not tried for longest first';

revoke all on function app.minor_units(jsonb), app.short_text(jsonb), app.payment_of(text, jsonb),
    app.payment_rank(text), app.payment_status(text, bigint, bigint, jsonb), app.settled(text, text, uuid),
    app.lock_payment(text), app.settle_payment(public.stripe_events),
    app.settle_refund(public.stripe_events), app.settle_dispute(public.stripe_events),
    app.settle_subscription(public.stripe_events), app.settle(public.stripe_events),
    app.try_event(public.stripe_events, timestamptz), app.payment_key(text),
    api.start_payment(uuid, text, timestamptz), api.receive_payment_event(text, text, jsonb, timestamptz),
    api.retry_payment_events(timestamptz, integer)
  from public, anon, authenticated, service_role;
grant execute on function api.start_payment(uuid, text, timestamptz),
    api.receive_payment_event(text, text, jsonb, timestamptz), api.retry_payment_events(timestamptz, integer)
  to service_role;
