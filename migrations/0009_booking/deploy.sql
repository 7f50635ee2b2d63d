-- requires: 0006_crm
-- What a supplier sells, who and what it has to do it with, and what was agreed.

create table public.packages (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  name text not null check (length(name) between 1 and 200),
  description text check (length(description) <= 4000),
  price_minor bigint not null check (price_minor >= 0),
  currency text not null check (app.currency_ok(currency)),
  active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id)
);
comment on table public.packages is 'what a supplier offers, with its price';

create table public.resources (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  name text not null check (length(name) between 1 and 200),
  kind text not null check (kind in ('person', 'room', 'equipment')),
  active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id)
);
comment on table public.resources is 'who or what can be at one wedding at a time';

-- Nobody is at two weddings at once: the constraint, not the application, refuses (23P01). A uuid has no GiST operators
-- of its own, so it goes in as a range of one. The organization takes part, although the resource has only one: this
-- constraint is checked before the foreign key, and without it would tell any supplier when a resource of another is taken.
create table public.bookings (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  resource_id uuid not null,
  client_id uuid,
  package_id uuid,
  wedding_id uuid,
  during tstzrange not null check (not isempty(during) and not lower_inf(during) and not upper_inf(during)
                                   and lower(during) >= '1900-01-01Z' and upper(during) <= '2200-01-01Z'),
  status text not null default 'held' check (status in ('held', 'confirmed', 'cancelled')),
  hold_expires_at timestamptz check (hold_expires_at between '1900-01-01Z' and '2200-01-01Z'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, resource_id) references public.resources (organization_id, id),
  foreign key (organization_id, client_id) references public.clients (organization_id, id),
  foreign key (organization_id, package_id) references public.packages (organization_id, id),
  foreign key (wedding_id, organization_id) references public.wedding_vendors (wedding_id, organization_id)
    on delete set null (wedding_id),
  constraint bookings_do_not_overlap
    exclude using gist (app.uuid_range(organization_id, organization_id, '[]') with =,
                        app.uuid_range(resource_id, resource_id, '[]') with =, during with &&)
    where (status in ('held', 'confirmed'))
);
create index bookings_resource_id_idx on public.bookings (organization_id, resource_id);
create index bookings_client_id_idx on public.bookings (organization_id, client_id);
create index bookings_package_id_idx on public.bookings (organization_id, package_id);
create index bookings_wedding_id_idx on public.bookings (wedding_id, organization_id);
create index bookings_start_idx on public.bookings (organization_id, lower(during)) where status <> 'cancelled';
comment on table public.bookings is 'when somebody or something is taken';

create table public.contracts (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  client_id uuid not null,
  package_id uuid,
  wedding_id uuid,
  title text not null check (length(title) between 1 and 200),
  body text not null default '' check (length(body) <= 200000),
  total_minor bigint not null check (total_minor >= 0),
  currency text not null check (app.currency_ok(currency)),
  status text not null default 'draft' check (status in ('draft', 'sent', 'signed', 'void')),
  sent_at timestamptz check (sent_at between '1900-01-01Z' and '2200-01-01Z'),
  signed_at timestamptz check (signed_at between '1900-01-01Z' and '2200-01-01Z'),
  signed_name text check (length(signed_name) <= 200),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, client_id) references public.clients (organization_id, id),
  foreign key (organization_id, package_id) references public.packages (organization_id, id),
  foreign key (wedding_id, organization_id) references public.wedding_vendors (wedding_id, organization_id)
    on delete set null (wedding_id),
  check (status <> 'signed' or (signed_at is not null and signed_name is not null)),
  check (status in ('signed', 'void') or (signed_at is null and signed_name is null))
);
create index contracts_client_id_idx on public.contracts (organization_id, client_id);
create index contracts_package_id_idx on public.contracts (organization_id, package_id);
create index contracts_wedding_id_idx on public.contracts (wedding_id, organization_id);
comment on table public.contracts is 'what a supplier and a client agreed';

-- What was signed does not change: it may only be declared void, and what is void stays so. That its wedding or package
-- went away later is no change of what was agreed; that it got another one is.
create function app.keep_signed() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
begin
  if tg_op = 'UPDATE' and new.status in ('void', old.status)
     and (new.package_id is null or new.package_id = old.package_id)
     and (new.wedding_id is null or new.wedding_id = old.wedding_id)
     and (new.client_id, new.title, new.body, new.total_minor, new.currency, new.sent_at, new.signed_at, new.signed_name)
         is not distinct from
         (old.client_id, old.title, old.body, old.total_minor, old.currency, old.sent_at, old.signed_at, old.signed_name)
  then
    return new;
  end if;
  raise exception 'a signed contract does not change'
    using errcode = 'WS005', hint = 'Declare it void, and make a new one.';
end
$$;
comment on function app.keep_signed() is 'trigger: a signed contract may only be declared void (WS005)';
revoke all on function app.keep_signed() from public;
create trigger keep_signed before update on public.contracts for each row
  when (old.status in ('signed', 'void')) execute function app.keep_signed();
create trigger keep_signed_row before delete on public.contracts for each row
  when (old.signed_at is not null) execute function app.keep_signed();

create trigger touch before update on public.packages for each row execute function app.touch_updated_at();
create trigger touch before update on public.resources for each row execute function app.touch_updated_at();
create trigger touch before update on public.bookings for each row execute function app.touch_updated_at();
create trigger touch before update on public.contracts for each row execute function app.touch_updated_at();
create trigger keep_tenant before update of organization_id on public.packages for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.resources for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.bookings for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.contracts for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();

-- why not FORCE, and why everything is revoked first: 0003_tenancy
alter table public.packages enable row level security;
alter table public.resources enable row level security;
alter table public.bookings enable row level security;
alter table public.contracts enable row level security;

revoke all on table public.packages, public.resources, public.bookings, public.contracts
  from public, anon, authenticated, service_role;

create policy colleagues_read on public.packages for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy admins_insert on public.packages for insert to authenticated
  with check (organization_id = any ((select app.org_ids('admin'))::uuid[]));
create policy admins_update on public.packages for update to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
create policy admins_delete on public.packages for delete to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select,
  insert (organization_id, name, description, price_minor, currency, active),
  update (name, description, price_minor, currency, active),
  delete on public.packages to authenticated;

create policy colleagues_read on public.resources for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy admins_insert on public.resources for insert to authenticated
  with check (organization_id = any ((select app.org_ids('admin'))::uuid[]));
create policy admins_update on public.resources for update to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
create policy admins_delete on public.resources for delete to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select,
  insert (organization_id, name, kind, active),
  update (name, kind, active),
  delete on public.resources to authenticated;

create policy colleagues_read on public.bookings for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy members_insert on public.bookings for insert to authenticated
  with check (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_update on public.bookings for update to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy admins_delete on public.bookings for delete to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select,
  insert (organization_id, resource_id, client_id, package_id, wedding_id, during, status, hold_expires_at),
  update (resource_id, client_id, package_id, wedding_id, during, status, hold_expires_at),
  delete on public.bookings to authenticated;

-- who signed, and when, is written by the platform's server side: a supplier does not sign in its client's name
create policy colleagues_read on public.contracts for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy members_insert on public.contracts for insert to authenticated
  with check (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_update on public.contracts for update to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy admins_delete on public.contracts for delete to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[])
         and status = 'draft');
grant select,
  insert (organization_id, client_id, package_id, wedding_id, title, body, total_minor, currency, status, sent_at),
  update (client_id, package_id, wedding_id, title, body, total_minor, currency, status, sent_at),
  delete on public.contracts to authenticated;

grant select, insert, update, delete on public.packages, public.resources, public.bookings, public.contracts to
    service_role;
