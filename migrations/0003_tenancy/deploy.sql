-- requires: 0002_helpers
-- Suppliers (organizations), people (profiles), and who works where (memberships). An organization is a tenant: its key
-- is part of every key and foreign key below it, so that a row can never point into another tenant, and an unknown key
-- and a foreign one give the same error. Nothing cascades: a deletion names what it deletes.

create table public.organizations (
  id uuid primary key default app.uuid_v7(),
  name text not null check (length(name) between 1 and 200),
  slug text not null unique check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 80),
  category text not null check (category in
    ('photographer', 'videographer', 'venue', 'planner', 'florist', 'caterer', 'musician', 'cake', 'stylist', 'other')),
  time_zone text not null check (app.tz_ok(time_zone)),
  status text not null default 'active' check (status in ('active', 'closed')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table public.organizations is 'suppliers: a tenant each; the slug is public, so it may be unique over all of them';

-- No foreign key to auth.users: on Supabase that schema is not ours, and a backup of ours has to restore without it.
-- No unique e-mail address: who may try one would learn whether somebody has it.
create table public.profiles (
  id uuid primary key,
  email text not null
    check (length(email) <= 254 and email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  display_name text not null check (length(display_name) between 1 and 200),
  locale text not null default 'en-GB' check (locale ~ '^[a-z]{2}(-[A-Z]{2})?$'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index profiles_email_idx on public.profiles (email);
comment on table public.profiles is 'people; the key is the one their sign-in has (auth.uid())';

create table public.memberships (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  profile_id uuid not null references public.profiles,
  role text not null check (role in ('viewer', 'member', 'admin', 'owner')),
  status text not null default 'active' check (status in ('active', 'suspended')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  unique (organization_id, profile_id)
);
create index memberships_profile_id_idx on public.memberships (profile_id);
comment on table public.memberships is 'who works for which supplier, and as what';

create table public.invitations (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  email text not null
    check (length(email) <= 254 and email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  role text not null check (role in ('viewer', 'member', 'admin')),  -- ownership is handed over, never mailed
  token_hash bytea not null unique check (octet_length(token_hash) = 32),
  invited_by uuid,
  -- Times and dates that clients give lie in a range of years: their libraries cannot read a year after 9999, one
  -- before 1, or `infinity`, so that one such value would stop every program that reads the column.
  expires_at timestamptz not null check (expires_at between '1900-01-01Z' and '2200-01-01Z'),
  accepted_at timestamptz,
  revoked_at timestamptz check (revoked_at between '1900-01-01Z' and '2200-01-01Z'),
  created_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, invited_by) references public.memberships (organization_id, id)
    on delete set null (invited_by),
  check (expires_at > created_at),
  check (accepted_at is null or revoked_at is null)
);
create unique index invitations_open_key on public.invitations (organization_id, email)
  where accepted_at is null and revoked_at is null;
create index invitations_invited_by_idx on public.invitations (organization_id, invited_by);
comment on table public.invitations is 'invitations to join a supplier; of the token only its SHA-256 is kept';

create table public.api_keys (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  name text not null check (length(name) between 1 and 100),
  prefix text not null check (prefix ~ '^[a-z0-9]{8}$'),
  secret_hash bytea not null unique check (octet_length(secret_hash) = 32),
  scopes text[] not null default '{}'
    check (scopes <@ array['read', 'write'] and array_position(scopes, null) is null and cardinality(scopes) <= 2),
  created_by uuid,
  last_used_at timestamptz,
  expires_at timestamptz check (expires_at between '1900-01-01Z' and '2200-01-01Z'),
  revoked_at timestamptz check (revoked_at between '1900-01-01Z' and '2200-01-01Z'),
  created_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, created_by) references public.memberships (organization_id, id)
    on delete set null (created_by)
);
create index api_keys_created_by_idx on public.api_keys (organization_id, created_by);
comment on table public.api_keys is 'keys of a supplier''s own programs; of the secret only its SHA-256 is kept';

create trigger touch before update on public.organizations for each row execute function app.touch_updated_at();
create trigger touch before update on public.profiles for each row execute function app.touch_updated_at();
create trigger touch before update on public.memberships for each row execute function app.touch_updated_at();
-- a tenant's key is the tenant: of one that nothing hangs on yet no foreign key would keep it
create trigger keep_tenant before update of id on public.organizations for each row
  when (old.id is distinct from new.id) execute function app.keep_tenant();
create trigger keep_tenant before update of id on public.profiles for each row
  when (old.id is distinct from new.id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id, profile_id on public.memberships for each row
  when (old.organization_id is distinct from new.organization_id or old.profile_id is distinct from new.profile_id)
  execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.invitations for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.api_keys for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();

-- Row-level security from the start, and no policy before 0005_access: until then nobody but the owner sees a row.
-- Not FORCE: the owner is no API role, its backups have to see every row, and the access functions read memberships as
-- the owner, which under FORCE would run into the policies that call them.
alter table public.organizations enable row level security;
alter table public.profiles enable row level security;
alter table public.memberships enable row level security;
alter table public.invitations enable row level security;
alter table public.api_keys enable row level security;

-- Supabase's default privileges may have given everything, TRUNCATE too, which row-level security does not stop.
revoke all on table public.organizations, public.profiles, public.memberships, public.invitations, public.api_keys
  from public, anon, authenticated, service_role;
