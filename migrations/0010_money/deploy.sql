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
  provider_customer_id text unique,
  provider_subscription_id text unique,
  current_period_end timestamptz,
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
  due_on date,
  issued_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  unique (organization_id, number),
  foreign key (organization_id, client_id) references public.clients (organization_id, id),
  foreign key (organization_id, contract_id) references public.contracts (organization_id, id),
  check (total_minor = net_minor + tax_minor),
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
-- a right one cannot exist. No policy, no grant: only functions of schema api write it.
create table public.stripe_events (
  id uuid primary key default app.uuid_v7(),
  event_id text not null unique check (length(event_id) between 1 and 255),
  type text not null check (length(type) between 1 and 100),
  payload jsonb not null check (jsonb_typeof(payload) = 'object'),
  signature_ok boolean not null check (signature_ok),
  organization_id uuid references public.organizations,
  outcome text check (outcome in ('done', 'ignored', 'price_mismatch', 'currency_mismatch', 'unknown_invoice',
                                  'unknown_payment', 'invalid')),
  reason text,
  received_at timestamptz not null default now(),
  processed_at timestamptz,
  check ((outcome is null) = (processed_at is null))
);
create index stripe_events_organization_id_idx on public.stripe_events (organization_id);
create index stripe_events_open_idx on public.stripe_events (received_at) where outcome is distinct from 'done';
comment on table public.stripe_events is 'events of the payment provider: stored first, once, then acted on';

create table public.payments (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  invoice_id uuid not null,
  provider_payment_id text not null unique check (length(provider_payment_id) between 1 and 255),
  status text not null default 'pending'
    check (status in ('pending', 'processing', 'failed', 'succeeded', 'refunded', 'disputed')),
  amount_minor bigint not null check (amount_minor > 0),
  refunded_minor bigint not null default 0 check (refunded_minor between 0 and amount_minor),
  currency text not null check (app.currency_ok(currency)),
  failure_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, invoice_id) references public.invoices (organization_id, id)
);
create index payments_invoice_id_idx on public.payments (organization_id, invoice_id);
comment on table public.payments is 'what was paid, or tried to; the status only ever moves forward';

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
