-- requires: 0006_crm
-- Questionnaires: a form has versions that never change, drafts that are saved every thirty seconds while somebody types,
-- and submissions. Everybody may read what is published; answers go through the platform's server side.

create table public.forms (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  title text not null check (length(title) between 1 and 200),
  slug text not null check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 80),
  status text not null default 'draft' check (status in ('draft', 'published', 'closed')),
  published_version_id uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  unique (organization_id, slug),
  check (status <> 'published' or published_version_id is not null)
);
comment on table public.forms is 'a supplier''s questionnaires';

create table public.form_versions (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  form_id uuid not null,
  version integer not null check (version >= 1),
  definition jsonb not null
    check (jsonb_typeof(definition) = 'object' and octet_length(definition::text) <= 262144),
  published boolean not null default false,  -- decided when it is made: a version never changes
  created_by uuid,
  created_at timestamptz not null default now(),
  unique (organization_id, id),
  unique (organization_id, form_id, id),
  unique (organization_id, form_id, version),
  foreign key (organization_id, form_id) references public.forms (organization_id, id),
  foreign key (organization_id, created_by) references public.memberships (organization_id, id)
    on delete set null (created_by)
);
create index form_versions_created_by_idx on public.form_versions (organization_id, created_by);
comment on table public.form_versions is 'what a form asked, version by version: only ever added to';

-- the published version is one of this very form
alter table public.forms add foreign key (organization_id, id, published_version_id)
  references public.form_versions (organization_id, form_id, id);
create index forms_published_version_id_idx on public.forms (organization_id, id, published_version_id);

-- Saved every thirty seconds: no index on what changes, and room in every page for the next version of a row, so that a
-- save touches no index (HOT). `seq` tells two writers apart: update … where seq = the one that was read.
-- Answers are measured as text, which is how every reader gets them: stored, a number such as 1e131071 takes 12 bytes.
-- For those of usual size that costs a few microseconds.
create table public.form_drafts (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  form_id uuid not null,
  client_id uuid,
  answers jsonb not null default '{}'
    check (jsonb_typeof(answers) = 'object' and octet_length(answers::text) <= 262144),
  seq integer not null default 0 check (seq >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, form_id) references public.forms (organization_id, id),
  foreign key (organization_id, client_id) references public.clients (organization_id, id)
) with (fillfactor = 70);
create index form_drafts_form_id_idx on public.form_drafts (organization_id, form_id);
create index form_drafts_client_id_idx on public.form_drafts (organization_id, client_id);
comment on table public.form_drafts is 'answers that are being typed';

create table public.form_submissions (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  form_id uuid not null,
  version_id uuid not null,
  client_id uuid,
  answers jsonb not null check (jsonb_typeof(answers) = 'object' and octet_length(answers::text) <= 262144),
  submitted_email text
    check (length(submitted_email) <= 254 and submitted_email = lower(submitted_email)
           and submitted_email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  status text not null default 'new' check (status in ('new', 'seen', 'archived')),
  submitted_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  foreign key (organization_id, form_id, version_id) references public.form_versions (organization_id, form_id, id),
  foreign key (organization_id, client_id) references public.clients (organization_id, id)
);
create index form_submissions_version_id_idx on public.form_submissions (organization_id, form_id, version_id);
create index form_submissions_client_id_idx on public.form_submissions (organization_id, client_id);
create index form_submissions_newest_idx on public.form_submissions (organization_id, submitted_at);
comment on table public.form_submissions is 'answers that were sent; members file them, nobody edits them';

create trigger touch before update on public.forms for each row execute function app.touch_updated_at();
create trigger touch before update on public.form_drafts for each row execute function app.touch_updated_at();
create trigger touch before update on public.form_submissions for each row execute function app.touch_updated_at();
create trigger keep_tenant before update of organization_id on public.forms for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.form_versions for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.form_drafts for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of organization_id on public.form_submissions for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();

-- why not FORCE, and why everything is revoked first: 0003_tenancy
alter table public.forms enable row level security;
alter table public.form_versions enable row level security;
alter table public.form_drafts enable row level security;
alter table public.form_submissions enable row level security;

revoke all on table public.forms, public.form_versions, public.form_drafts, public.form_submissions
  from public, anon, authenticated, service_role;

-- the only two tables that somebody who is not signed in can read; of a form no more than its page shows
create policy public_read on public.forms for select to anon using (status = 'published');
create policy colleagues_read on public.forms for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy members_insert on public.forms for insert to authenticated
  with check (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_update on public.forms for update to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy admins_delete on public.forms for delete to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select (id, organization_id, title, slug, status, published_version_id) on public.forms to anon;
grant select,
  insert (organization_id, title, slug, status),
  update (title, slug, status, published_version_id),
  delete on public.forms to authenticated;

create policy public_read on public.form_versions for select to anon using (published);
create policy colleagues_read on public.form_versions for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy members_insert on public.form_versions for insert to authenticated
  with check (organization_id = any ((select app.org_ids('member'))::uuid[]));
grant select (id, organization_id, form_id, version, definition, published) on public.form_versions to anon;
grant select, insert (organization_id, form_id, version, definition, published, created_by) on public.form_versions
  to authenticated;

create policy members_read on public.form_drafts for select to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_insert on public.form_drafts for insert to authenticated
  with check (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_update on public.form_drafts for update to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_delete on public.form_drafts for delete to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
grant select,
  insert (organization_id, form_id, client_id, answers, seq),
  update (answers, seq),
  delete on public.form_drafts to authenticated;

create policy colleagues_read on public.form_submissions for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy members_update on public.form_submissions for update to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy admins_delete on public.form_submissions for delete to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select,
  update (status), delete on public.form_submissions to authenticated;

grant select, insert, update, delete on public.forms, public.form_drafts, public.form_submissions to service_role;
grant select, insert, delete on public.form_versions to service_role;
