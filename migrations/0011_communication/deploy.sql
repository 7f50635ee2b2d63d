-- requires: 0005_access, 0006_crm
-- What couples and suppliers say to each other, what they are told, and the files of a supplier.

-- With an organization it is between the couple and that supplier; without one, everybody who works at the wedding reads
-- along. The platform's server side opens one when a supplier accepts.
create table public.conversations (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null references public.weddings,
  organization_id uuid,
  subject text not null check (length(subject) between 1 and 200),
  closed_at timestamptz check (closed_at between '1900-01-01Z' and '2200-01-01Z'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (wedding_id, id),
  foreign key (wedding_id, organization_id) references public.wedding_vendors (wedding_id, organization_id)
);
create index conversations_organization_id_idx on public.conversations (organization_id, wedding_id);
comment on table public.conversations is 'a couple with one supplier, or with all of its wedding';

-- The wedding has no foreign key of its own: the policy does not ask about it, so that the name of the constraint that
-- refuses would tell a wedding that exists from one that does not.
create table public.messages (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null,
  conversation_id uuid not null,
  sender_id uuid references public.profiles on delete set null,
  body text not null check (length(body) between 1 and 10000),
  sent_at timestamptz not null default now(),
  unique (wedding_id, id),
  foreign key (wedding_id, conversation_id) references public.conversations (wedding_id, id)
);
create index messages_conversation_id_idx on public.messages (conversation_id, wedding_id, sent_at);
create index messages_sender_id_idx on public.messages (sender_id);
comment on table public.messages is 'what was said: only ever added to';

create table public.notifications (
  id uuid primary key default app.uuid_v7(),
  profile_id uuid not null references public.profiles,
  organization_id uuid references public.organizations,
  wedding_id uuid references public.weddings,
  kind text not null check (kind in ('message', 'task', 'rsvp', 'booking', 'payment', 'invitation', 'system')),
  title text not null check (length(title) between 1 and 200),
  body text check (length(body) <= 2000),
  read_at timestamptz check (read_at between '1900-01-01Z' and '2200-01-01Z'),
  created_at timestamptz not null default now()
);
create index notifications_profile_id_idx on public.notifications (profile_id, created_at);
create index notifications_organization_id_idx on public.notifications (organization_id);
create index notifications_wedding_id_idx on public.notifications (wedding_id);
comment on table public.notifications is 'what one person is told';

create table public.files (
  id uuid primary key default app.uuid_v7(),
  organization_id uuid not null references public.organizations,
  client_id uuid,
  wedding_id uuid,
  uploaded_by uuid,
  name text not null check (length(name) between 1 and 255),
  storage_path text not null check (octet_length(storage_path) between 1 and 1024),  -- bytes: it is in an index
  content_type text not null check (length(content_type) <= 255 and content_type ~ '^[a-z0-9.+-]+/[a-z0-9.+-]+$'),
  size_bytes bigint not null check (size_bytes >= 0),
  sha256 bytea check (octet_length(sha256) = 32),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization_id, id),
  unique (organization_id, storage_path),
  foreign key (organization_id, client_id) references public.clients (organization_id, id),
  foreign key (wedding_id, organization_id) references public.wedding_vendors (wedding_id, organization_id)
    on delete set null (wedding_id),
  foreign key (organization_id, uploaded_by) references public.memberships (organization_id, id)
    on delete set null (uploaded_by)
);
create index files_client_id_idx on public.files (organization_id, client_id);
create index files_wedding_id_idx on public.files (wedding_id, organization_id);
create index files_uploaded_by_idx on public.files (organization_id, uploaded_by);
comment on table public.files is 'what a supplier stored, and where; the contents lie elsewhere';

create trigger touch before update on public.conversations for each row execute function app.touch_updated_at();
create trigger touch before update on public.files for each row execute function app.touch_updated_at();
create trigger keep_tenant before update of organization_id on public.files for each row
  when (old.organization_id is distinct from new.organization_id) execute function app.keep_tenant();
create trigger keep_tenant before update of wedding_id, organization_id on public.conversations for each row
  when (old.wedding_id is distinct from new.wedding_id or old.organization_id is distinct from new.organization_id)
  execute function app.keep_tenant();
create trigger keep_tenant before update of wedding_id, conversation_id on public.messages for each row
  when (old.wedding_id is distinct from new.wedding_id or old.conversation_id is distinct from new.conversation_id)
  execute function app.keep_tenant();
create trigger keep_tenant before update of profile_id on public.notifications for each row
  when (old.profile_id is distinct from new.profile_id) execute function app.keep_tenant();

-- Conversations the current user takes part in: the couple in all of its wedding's; a supplier's people, from this role
-- on, in those with their supplier and in those with everybody, as long as the supplier works there.
create function app.conversation_ids(least_role text) returns uuid[]
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select coalesce(array_agg(reached.id), '{}')
    from (
      select c.id
      from public.conversations as c
      where c.wedding_id = any ((select app.wedding_ids('couple'))::uuid[])
      union
      select c.id
      from public.wedding_vendors as v
      join public.conversations as c
        on c.wedding_id = v.wedding_id and (c.organization_id is null or c.organization_id = v.organization_id)
      where v.organization_id = any ((select app.org_ids(least_role))::uuid[]) and v.status = 'accepted'
    ) as reached
    where least_role in ('viewer', 'member', 'admin', 'owner')
  $$;
comment on function app.conversation_ids(text) is 'conversations the current user takes part in, with at least this role';
revoke all on function app.conversation_ids(text) from public;
grant execute on function app.conversation_ids(text) to authenticated;

-- why not FORCE, and why everything is revoked first: 0003_tenancy
alter table public.conversations enable row level security;
alter table public.messages enable row level security;
alter table public.notifications enable row level security;
alter table public.files enable row level security;

revoke all on table public.conversations, public.messages, public.notifications, public.files
  from public, anon, authenticated, service_role;

create policy participants_read on public.conversations for select to authenticated
  using (id = any ((select app.conversation_ids('viewer'))::uuid[]));
create policy couple_insert on public.conversations for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_update on public.conversations for update to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select, insert (wedding_id, organization_id, subject), update (subject, closed_at) on public.conversations
  to authenticated;

-- who writes is who is signed in
create policy participants_read on public.messages for select to authenticated
  using (conversation_id = any ((select app.conversation_ids('viewer'))::uuid[]));
create policy participants_insert on public.messages for insert to authenticated
  with check (conversation_id = any ((select app.conversation_ids('member'))::uuid[])
              and sender_id = (select auth.uid()));
grant select, insert (wedding_id, conversation_id, sender_id, body) on public.messages to authenticated;

create policy own_read on public.notifications for select to authenticated
  using (profile_id = (select auth.uid()));
create policy own_update on public.notifications for update to authenticated
  using (profile_id = (select auth.uid()));
create policy own_delete on public.notifications for delete to authenticated
  using (profile_id = (select auth.uid()));
grant select, update (read_at), delete on public.notifications to authenticated;

create policy colleagues_read on public.files for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy members_insert on public.files for insert to authenticated
  with check (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy members_update on public.files for update to authenticated
  using (organization_id = any ((select app.org_ids('member'))::uuid[]));
create policy admins_delete on public.files for delete to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select,
  insert (organization_id, client_id, wedding_id, uploaded_by, name, storage_path, content_type, size_bytes, sha256),
  update (client_id, wedding_id, name),
  delete on public.files to authenticated;

grant select, insert, update, delete on public.conversations, public.notifications, public.files to service_role;
grant select, insert, delete on public.messages to service_role;
