-- Defects to plant into WedSync's schema, each under the rules it breaks and the object that has to be named.

-- breaks rls-disabled: public.stripe_events
alter table public.stripe_events disable row level security;

-- breaks partition-open: public.p1
create table public.p (organization_id uuid not null primary key references public.organizations)
  partition by list (organization_id);
alter table public.p enable row level security;
create policy q on public.p for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
grant select on public.p to authenticated;
create table public.p1 partition of public.p default;

-- breaks partition-open, grant-without-policy: public.p1
create table public.p (organization_id uuid not null primary key references public.organizations)
  partition by list (organization_id);
alter table public.p enable row level security;
create policy q on public.p for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
grant select on public.p to authenticated;
create table public.p1 partition of public.p default;
alter table public.p1 enable row level security;
grant select on public.p1 to authenticated;

-- breaks rls-forced: public.tasks
create role plain;
grant create on schema public to plain;
alter table public.tasks owner to plain;
alter table public.tasks force row level security;

-- breaks rls-without-policy: public.subscriptions
drop policy admins_read on public.subscriptions;
revoke select on public.subscriptions from authenticated;

-- breaks policy-without-rls, rls-disabled: public.tasks
alter table public.tasks disable row level security;

-- breaks api-role-unsafe: anon
alter role anon login;

-- breaks api-role-unsafe: authenticated
alter role authenticated bypassrls;

-- breaks api-role-unsafe: authenticated
grant pg_read_all_settings to authenticated;

-- breaks api-role-owner: public.tasks
grant usage, create on schema public to service_role;
alter table public.tasks owner to service_role;
revoke create on schema public from service_role;

-- breaks schema-create: public
grant create on schema public to public;

-- breaks grant-beyond-rows: public.tasks
grant truncate on public.tasks to authenticated;

-- breaks grant-beyond-rows: public.tasks
grant trigger on public.tasks to service_role;

-- breaks grant-beyond-rows: public.tasks.id
grant references (id) on public.tasks to service_role;

-- breaks grant-to-public, grant-without-policy: public.tasks
grant select on public.tasks to public;

-- breaks grant-option: public.tasks
grant select on public.tasks to authenticated with grant option;

-- breaks grant-without-policy: public.tasks
grant select on public.tasks to anon;

-- breaks grant-without-policy: public.refunds.reason
grant update (reason) on public.refunds to authenticated;

-- breaks grant-missing: public.tasks, policy members_delete
revoke delete on public.tasks from authenticated;

-- breaks anon-writes, policy-unscoped: public.forms.title
grant insert (title) on public.forms to anon;
create policy strangers_insert on public.forms for insert to anon with check (status = 'draft');

-- breaks sequence-grant: public.s
create sequence public.s;
grant usage on public.s to authenticated;

-- breaks tenant-updatable: public.tasks.organization_id
grant update (organization_id) on public.tasks to authenticated;

-- breaks tenant-updatable: public.weddings.id
grant update (id) on public.weddings to authenticated;

-- breaks tenant-updatable: public.guests.wedding_id
grant update on public.guests to authenticated;

-- breaks tenant-movable: public.tasks.organization_id
drop trigger keep_tenant on public.tasks;

-- breaks tenant-movable, trigger-disabled: public.tasks.organization_id
alter table public.tasks disable trigger keep_tenant;

-- breaks foreign-key-without-tenant: public.tasks.loose
create index on public.tasks (client_id);
alter table public.tasks add constraint loose foreign key (client_id) references public.clients (id);

-- breaks foreign-key-without-tenant: public.tasks.loose
alter table public.tasks add constraint loose foreign key (client_id, organization_id) references public.clients
  (organization_id, id);

-- breaks unique-without-tenant: public.u
create unique index u on public.clients (phone);

-- breaks unique-without-tenant: public.u
alter table public.bookings add constraint u exclude using gist (app.uuid_range(resource_id, resource_id, '[]')
  with =, during with &&);

-- breaks unique-without-tenant: public.u
create unique index u on public.clients (lower(name));

-- breaks foreign-key-unindexed: public.tasks.tasks_organization_id_client_id_fkey
drop index public.tasks_client_id_idx;

-- breaks foreign-key-unindexed: public.tasks.tasks_organization_id_client_id_fkey
drop index public.tasks_client_id_idx;
create index on public.tasks (organization_id, client_id) where done_at is null;

-- breaks no-primary-key: public.tasks
alter table public.tasks drop constraint tasks_pkey;

-- breaks index-duplicate: public.again and public.tasks_client_id_idx
create index again on public.tasks (organization_id, client_id);

-- breaks index-unused: public.idle
create index idle on public.tasks (title);
update pg_class set reltuples = 5000 where oid = 'public.tasks'::regclass;

-- breaks index-invalid: public.broken
create index broken on public.tasks (title);
update pg_index set indisvalid = false where indexrelid = 'public.broken'::regclass;

-- breaks constraint-not-valid: public.tasks.late
alter table public.tasks add constraint late check (title <> '') not valid;

-- breaks trigger-disabled: public.tasks.touch
alter table public.tasks disable trigger touch;

-- breaks autovacuum-off: public.tasks
alter table public.tasks set (autovacuum_enabled = off);

-- breaks column-of-reg-type: public.tasks.made_by
alter table public.tasks add made_by regproc;

-- breaks extension-in-public: plpgsql
update pg_extension set extnamespace = 'public'::regnamespace where extname = 'plpgsql';

-- breaks extension-outdated: plpgsql
update pg_extension set extversion = '0.1' where extname = 'plpgsql';

-- breaks foreign-key-to-auth: public.profiles.loose
create table auth.users (id uuid primary key, email text unique);
alter table public.profiles add constraint loose foreign key (email) references auth.users (email);

-- breaks view-of-definer: public.v
create view public.v as select id from public.tasks;
grant select on public.v to authenticated;

-- breaks relation-without-rls: public.m
create materialized view public.m as select id from public.tasks;
grant select (id) on public.m to anon;

-- breaks relation-without-rls: public.f
create foreign data wrapper w;
create server elsewhere foreign data wrapper w;
create foreign table public.f (id uuid) server elsewhere;
grant select on public.f to authenticated;

-- breaks auth-users-exposed: public.v
create table auth.users (id uuid primary key, email text unique);
create view public.v with (security_invoker) as select email from auth.users;
grant select on public.v to authenticated;

-- breaks sensitive-column: public.api_keys.secret_hash
grant select on public.api_keys to authenticated;

-- breaks sensitive-column: public.invitations.token_hash
grant select (token_hash) on public.invitations to authenticated;

-- breaks function-search-path: app.f()
create function app.f() returns int language sql as 'select 1';
revoke all on function app.f() from public;

-- breaks function-public: app.f()
create function app.f() returns int language sql set search_path = pg_catalog, pg_temp as 'select 1';

-- breaks default-privileges: all schemas
alter default privileges grant select on tables to anon;

-- breaks definer-not-listed: app.f()
create function app.f() returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1';
revoke all on function app.f() from public;

-- breaks definer-callable: app.org_ids(text)
grant execute on function app.org_ids(text) to anon;

-- breaks definer-callable, function-public: app.org_ids(text)
grant execute on function app.org_ids(text) to public;

-- breaks definer-search-path: app.org_ids(text)
alter function app.org_ids(text) set search_path = pg_temp, pg_catalog;

-- breaks definer-search-path, function-search-path: app.org_ids(text)
alter function app.org_ids(text) reset search_path;
