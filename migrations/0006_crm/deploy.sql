-- requires: 0005_access
-- What a supplier knows about its own customers. A client may be tied to a wedding, but only to one where the supplier
-- works. The foreign key names both, so that a wedding's key learnt elsewhere gives nothing.

create table public.clients (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  wedding_id uuid,
  name text not null check (length(name) between 1 and 200),
  partner_name text check (length(partner_name) <= 200),
  email text
    check (length(email) <= 254 and email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  phone text check (length(phone) <= 40),
  stage text not null default 'lead' check (stage in ('lead', 'quoted', 'booked', 'completed', 'lost')),
  source text check (length(source) <= 100),
  wedding_date date check (wedding_date between '1900-01-01' and '2200-01-01'),
  budget_minor bigint check (budget_minor >= 0),  -- in the currency's smallest unit, as all money here
  currency text check (app.currency_ok(currency)),
  assigned_to uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (wedding_id, organization_id) references public.wedding_vendors (wedding_id, organization_id)
    on delete set null (wedding_id),
  foreign key (organization_id, assigned_to) references public.memberships (organization_id, id)
    on delete set null (assigned_to),
  check (budget_minor is null or currency is not null)
);
create index clients_wedding_id_idx on public.clients (wedding_id, organization_id);
create index clients_assigned_to_idx on public.clients (organization_id, assigned_to);
create index clients_stage_idx on public.clients (organization_id, stage, wedding_date);
comment on table public.clients is 'a supplier''s customers, from the first enquiry on';

create table public.client_notes (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  client_id uuid not null,
  author_id uuid,
  body text not null check (length(body) between 1 and 10000),
  pinned boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, client_id) references public.clients (organization_id, id),
  foreign key (organization_id, author_id) references public.memberships (organization_id, id)
    on delete set null (author_id)
);
create index client_notes_client_id_idx on public.client_notes (organization_id, client_id, created_at);
create index client_notes_author_id_idx on public.client_notes (organization_id, author_id);
comment on table public.client_notes is 'what colleagues write down about a client; the client never sees it';

create table public.tasks (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  client_id uuid,
  assigned_to uuid,
  title text not null check (length(title) between 1 and 200),
  priority smallint not null default 2 check (priority between 1 and 3),
  due_at timestamptz check (due_at between '1900-01-01Z' and '2200-01-01Z'),
  done_at timestamptz check (done_at between '1900-01-01Z' and '2200-01-01Z'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, client_id) references public.clients (organization_id, id),
  foreign key (organization_id, assigned_to) references public.memberships (organization_id, id)
    on delete set null (assigned_to)
);
create index tasks_client_id_idx on public.tasks (organization_id, client_id);
create index tasks_assigned_to_idx on public.tasks (organization_id, assigned_to);
create index tasks_open_idx on public.tasks (organization_id, due_at) where done_at is null;
comment on table public.tasks is 'what a supplier still has to do, for a client or for itself';

create trigger touch before update on public.clients for each row execute function app.touch_updated_at();
create trigger touch before update on public.client_notes for each row execute function app.touch_updated_at();
create trigger touch before update on public.tasks for each row execute function app.touch_updated_at();
create trigger keep_tenant before update of organization_id on public.clients for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.client_notes for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.tasks for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();

-- why not FORCE, and why everything is revoked first: 0003_tenancy
alter table public.clients enable row level security;
alter table public.client_notes enable row level security;
alter table public.tasks enable row level security;

revoke all on table public.clients, public.client_notes, public.tasks from public, anon, authenticated, service_role;

create policy colleagues_read on public.clients for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy members_insert on public.clients for insert to authenticated
  with check (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_update on public.clients for update to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy admins_delete on public.clients for delete to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select,
  insert (organization_id, wedding_id, name, partner_name, email, phone, stage, source, wedding_date, budget_minor,
          currency, assigned_to),
  update (wedding_id, name, partner_name, email, phone, stage, source, wedding_date, budget_minor, currency,
          assigned_to),
  delete on public.clients to authenticated;

create policy colleagues_read on public.client_notes for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy members_insert on public.client_notes for insert to authenticated
  with check (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_update on public.client_notes for update to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_delete on public.client_notes for delete to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
grant select, insert (organization_id, client_id, author_id, body, pinned), update (body, pinned), delete
  on public.client_notes to authenticated;

create policy colleagues_read on public.tasks for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy members_insert on public.tasks for insert to authenticated
  with check (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_update on public.tasks for update to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_delete on public.tasks for delete to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
grant select, insert (organization_id, client_id, assigned_to, title, priority, due_at, done_at),
  update (client_id, assigned_to, title, priority, due_at, done_at), delete on public.tasks to authenticated;

grant select, insert, update, delete on public.clients, public.client_notes, public.tasks to service_role;
