-- requires: 0005_access
-- The couple's guests, their answers and their seats. A supplier sees them if the couple gave it the scope; who edits is
-- the couple alone. Lists of 900 are normal: every list is one index range of its wedding.

create table public.households (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null references public.weddings,
  name text not null check (length(name) between 1 and 200),
  address text check (length(address) <= 1000),
  email text
    check (length(email) <= 254 and email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (wedding_id, id)
);
comment on table public.households is 'who gets one invitation card together';

create table public.guests (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null references public.weddings,
  household_id uuid,
  plus_one_of uuid,
  given_name text not null check (length(given_name) between 1 and 100),
  family_name text not null default '' check (length(family_name) <= 100),
  full_name text not null generated always as (btrim(given_name || ' ' || family_name)) stored,
  kind text not null default 'adult' check (kind in ('adult', 'child', 'infant')),
  side text not null default 'both' check (side in ('first', 'second', 'both')),
  email text
    check (length(email) <= 254 and email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  phone text check (length(phone) <= 40),
  dietary text check (length(dietary) <= 500),
  checked_in_at timestamptz check (checked_in_at between '1900-01-01Z' and '2200-01-01Z'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (wedding_id, id),
  foreign key (wedding_id, household_id) references public.households (wedding_id, id) on delete set null (household_id),
  foreign key (wedding_id, plus_one_of) references public.guests (wedding_id, id) on delete set null (plus_one_of),
  check (plus_one_of <> id)
);
create index guests_household_id_idx on public.guests (wedding_id, household_id);
create index guests_plus_one_of_idx on public.guests (wedding_id, plus_one_of);
create index guests_name_idx on public.guests (wedding_id, family_name, given_name);
comment on table public.guests is 'who is invited to a wedding';

create table public.rsvps (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null references public.weddings,
  guest_id uuid not null,
  event_id uuid not null,
  answer text not null default 'invited' check (answer in ('invited', 'yes', 'no', 'maybe')),
  meal text check (length(meal) <= 100),
  message text check (length(message) <= 2000),
  answered_at timestamptz check (answered_at between '1900-01-01Z' and '2200-01-01Z'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (wedding_id, id),
  unique (wedding_id, guest_id, event_id),
  foreign key (wedding_id, guest_id) references public.guests (wedding_id, id),
  foreign key (wedding_id, event_id) references public.wedding_events (wedding_id, id),
  check ((answer = 'invited') = (answered_at is null))
);
create index rsvps_event_id_idx on public.rsvps (wedding_id, event_id, answer);
comment on table public.rsvps is 'who comes to which part of a wedding';

create table public.seating_tables (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null references public.weddings,
  event_id uuid not null,
  name text not null check (length(name) between 1 and 100),
  capacity integer not null check (capacity between 1 and 100),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (wedding_id, id),
  unique (wedding_id, event_id, id),
  unique (wedding_id, event_id, name),
  foreign key (wedding_id, event_id) references public.wedding_events (wedding_id, id)
);
comment on table public.seating_tables is 'the tables of a part of a wedding';

-- one seat a guest at each part, one guest a seat; the table has to be one of that part
create table public.seat_assignments (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null references public.weddings,
  event_id uuid not null,
  table_id uuid not null,
  guest_id uuid not null,
  seat smallint check (seat between 1 and 100),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (wedding_id, id),
  unique (wedding_id, event_id, guest_id),
  unique (wedding_id, event_id, table_id, seat),
  foreign key (wedding_id, event_id, table_id) references public.seating_tables (wedding_id, event_id, id),
  foreign key (wedding_id, guest_id) references public.guests (wedding_id, id)
);
create index seat_assignments_guest_id_idx on public.seat_assignments (wedding_id, guest_id);
comment on table public.seat_assignments is 'which guest sits where';

create trigger touch before update on public.households for each row execute function app.touch_updated_at();
create trigger touch before update on public.guests for each row execute function app.touch_updated_at();
create trigger touch before update on public.rsvps for each row execute function app.touch_updated_at();
create trigger touch before update on public.seating_tables for each row execute function app.touch_updated_at();
create trigger touch before update on public.seat_assignments for each row execute function app.touch_updated_at();
create trigger keep_tenant before update of wedding_id on public.households for each row
  when (old.wedding_id is distinct from new.wedding_id) execute function app.keep_tenant();
create trigger keep_tenant before update of wedding_id on public.guests for each row
  when (old.wedding_id is distinct from new.wedding_id) execute function app.keep_tenant();
create trigger keep_tenant before update of wedding_id on public.rsvps for each row
  when (old.wedding_id is distinct from new.wedding_id) execute function app.keep_tenant();
create trigger keep_tenant before update of wedding_id on public.seating_tables for each row
  when (old.wedding_id is distinct from new.wedding_id) execute function app.keep_tenant();
create trigger keep_tenant before update of wedding_id on public.seat_assignments for each row
  when (old.wedding_id is distinct from new.wedding_id) execute function app.keep_tenant();

-- why not FORCE, and why everything is revoked first: 0003_tenancy
alter table public.households enable row level security;
alter table public.guests enable row level security;
alter table public.rsvps enable row level security;
alter table public.seating_tables enable row level security;
alter table public.seat_assignments enable row level security;

revoke all on table public.households, public.guests, public.rsvps, public.seating_tables, public.seat_assignments
  from public, anon, authenticated, service_role;

create policy invited_read on public.households for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('guests'))::uuid[]));
create policy couple_insert on public.households for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_update on public.households for update to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_delete on public.households for delete to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select, insert (wedding_id, name, address, email),
  update (name, address, email), delete on public.households to authenticated;

create policy invited_read on public.guests for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('guests'))::uuid[]));
create policy couple_insert on public.guests for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_update on public.guests for update to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_delete on public.guests for delete to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select,
  insert (wedding_id, household_id, plus_one_of, given_name, family_name, kind, side, email, phone, dietary,
          checked_in_at),
  update (household_id, plus_one_of, given_name, family_name, kind, side, email, phone, dietary, checked_in_at),
  delete on public.guests to authenticated;

create policy invited_read on public.rsvps for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('guests'))::uuid[]));
create policy couple_insert on public.rsvps for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_update on public.rsvps for update to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_delete on public.rsvps for delete to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select, insert (wedding_id, guest_id, event_id, answer, meal, message, answered_at),
  update (answer, meal, message, answered_at), delete on public.rsvps to authenticated;

create policy invited_read on public.seating_tables for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('guests'))::uuid[]));
create policy couple_insert on public.seating_tables for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_update on public.seating_tables for update to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_delete on public.seating_tables for delete to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select, insert (wedding_id, event_id, name, capacity),
  update (name, capacity), delete on public.seating_tables to authenticated;

create policy invited_read on public.seat_assignments for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('guests'))::uuid[]));
create policy couple_insert on public.seat_assignments for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_update on public.seat_assignments for update to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_delete on public.seat_assignments for delete to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select, insert (wedding_id, event_id, table_id, guest_id, seat),
  update (event_id, table_id, guest_id, seat), delete on public.seat_assignments to authenticated;

grant select, insert, update, delete on public.households, public.guests, public.rsvps, public.seating_tables,
    public.seat_assignments
  to service_role;
