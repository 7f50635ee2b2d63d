-- requires: 0003_tenancy
-- A wedding is the second kind of tenant: couples reach it as its people, suppliers through wedding_vendors.

create table public.weddings (
  id uuid primary key default app.uuid_v7(),
  title text not null check (length(title) between 1 and 200),
  wedding_date date not null check (wedding_date between '1900-01-01' and '2200-01-01'),
  time_zone text not null check (app.tz_ok(time_zone)),  -- where it takes place: decides when its day begins and ends
  venue_name text check (length(venue_name) <= 200),
  guest_estimate integer check (guest_estimate between 0 and 5000),
  status text not null default 'planning' check (status in ('planning', 'confirmed', 'completed', 'cancelled')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
-- what a deployment asks before it starts: which weddings are today or tomorrow
create index weddings_upcoming_idx on public.weddings (wedding_date) where status in ('planning', 'confirmed');
comment on table public.weddings is 'weddings: a tenant each, with the date in the time zone of the place';

create table public.wedding_people (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null references public.weddings,
  profile_id uuid references public.profiles on delete set null,
  role text not null check (role in ('partner', 'parent', 'attendant', 'officiant')),
  given_name text not null check (length(given_name) between 1 and 100),
  family_name text not null default '' check (length(family_name) <= 100),
  full_name text not null generated always as (btrim(given_name || ' ' || family_name)) stored,
  email text
    check (length(email) <= 254 and email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (wedding_id, id),
  unique (wedding_id, profile_id)
);
create index wedding_people_profile_id_idx on public.wedding_people (profile_id);
comment on table public.wedding_people is 'the couple and those close to them; partners with a profile may do everything';

create table public.wedding_vendors (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null references public.weddings,
  organization_id uuid not null references public.organizations,
  category text not null check (category in
    ('photographer', 'videographer', 'venue', 'planner', 'florist', 'caterer', 'musician', 'cake', 'stylist', 'other')),
  status text not null default 'invited' check (status in ('invited', 'accepted', 'declined', 'removed')),
  scopes text[] not null default '{overview}'
    check (scopes <@ array['overview', 'people', 'timeline', 'timeline_edit', 'guests']
           and array_position(scopes, null) is null and cardinality(scopes) <= 5),
  contact_email text
    check (length(contact_email) <= 254 and contact_email = lower(contact_email)
           and contact_email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  invited_at timestamptz not null default now(),
  responded_at timestamptz,
  updated_at timestamptz not null default now(),
  unique (wedding_id, id),
  unique (wedding_id, organization_id),
  check (responded_at is not null or status = 'invited')
);
create index wedding_vendors_organization_id_idx on public.wedding_vendors (organization_id);
comment on table public.wedding_vendors is 'which supplier works at which wedding, and what of it the couple lets it see';

create table public.wedding_events (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null references public.weddings,
  kind text not null check (kind in ('rehearsal', 'ceremony', 'reception', 'party', 'brunch', 'other')),
  name text not null check (length(name) between 1 and 200),
  place text check (length(place) <= 200),
  starts_at timestamptz not null check (starts_at between '1900-01-01Z' and '2200-01-01Z'),
  ends_at timestamptz not null check (ends_at between '1900-01-01Z' and '2200-01-01Z'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (wedding_id, id),
  check (ends_at > starts_at)
);
comment on table public.wedding_events is 'the parts of a wedding: ceremony, reception, brunch';

create table public.timeline_items (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null references public.weddings,
  event_id uuid not null,
  vendor_id uuid,
  title text not null check (length(title) between 1 and 200),
  notes text check (length(notes) <= 4000),
  starts_at timestamptz not null check (starts_at between '1900-01-01Z' and '2200-01-01Z'),
  ends_at timestamptz not null check (ends_at between '1900-01-01Z' and '2200-01-01Z'),
  done_at timestamptz check (done_at between '1900-01-01Z' and '2200-01-01Z'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (wedding_id, id),
  foreign key (wedding_id, event_id) references public.wedding_events (wedding_id, id),
  foreign key (wedding_id, vendor_id) references public.wedding_vendors (wedding_id, id) on delete set null (vendor_id),
  check (ends_at >= starts_at)
);
create index timeline_items_starts_at_idx on public.timeline_items (wedding_id, starts_at);
create index timeline_items_event_id_idx on public.timeline_items (wedding_id, event_id);
create index timeline_items_vendor_id_idx on public.timeline_items (wedding_id, vendor_id);
comment on table public.timeline_items is 'the running order of the day, minute by minute';

create trigger touch before update on public.weddings for each row execute function app.touch_updated_at();
create trigger touch before update on public.wedding_people for each row execute function app.touch_updated_at();
create trigger touch before update on public.wedding_vendors for each row execute function app.touch_updated_at();
create trigger touch before update on public.wedding_events for each row execute function app.touch_updated_at();
create trigger touch before update on public.timeline_items for each row execute function app.touch_updated_at();
create trigger keep_tenant before update of id on public.weddings for each row
  when (old.id is distinct from new.id) execute function app.keep_tenant();
create trigger keep_tenant before update of wedding_id on public.wedding_people for each row
  when (old.wedding_id is distinct from new.wedding_id) execute function app.keep_tenant();
create trigger keep_tenant before update of wedding_id on public.wedding_events for each row
  when (old.wedding_id is distinct from new.wedding_id) execute function app.keep_tenant();
create trigger keep_tenant before update of wedding_id on public.timeline_items for each row
  when (old.wedding_id is distinct from new.wedding_id) execute function app.keep_tenant();
create trigger keep_tenant before update of wedding_id, organization_id on public.wedding_vendors for each row
  when (old.wedding_id is distinct from new.wedding_id or old.organization_id is distinct from new.organization_id)
  execute function app.keep_tenant();

-- closed until 0005_access, and not FORCE: the reasons are in 0003_tenancy
alter table public.weddings enable row level security;
alter table public.wedding_people enable row level security;
alter table public.wedding_vendors enable row level security;
alter table public.wedding_events enable row level security;
alter table public.timeline_items enable row level security;

revoke all on table public.weddings, public.wedding_people, public.wedding_vendors, public.wedding_events,
    public.timeline_items
  from public, anon, authenticated, service_role;
