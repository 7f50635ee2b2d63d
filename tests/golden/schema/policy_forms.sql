-- Policies for a table without any, each under the one rule it breaks and what is wrong with it.

-- breaks policy-subquery: EXISTS
create policy p on public.clients for select to authenticated
  using (exists (select from public.memberships as m
                  where m.organization_id = clients.organization_id and m.profile_id = auth.uid()));

-- breaks policy-subquery: IN
create policy p on public.clients for select to authenticated
  using (organization_id in (select m.organization_id from public.memberships as m where m.profile_id = auth.uid()));

-- breaks policy-subquery: IN, and what it asks for is asked once
create policy p on public.clients for select to authenticated
  using (organization_id in
         (select m.organization_id from public.memberships as m where m.profile_id = (select auth.uid())));

-- breaks policy-subquery: IN, over an array
create policy p on public.clients for select to authenticated
  using (organization_id in (select unnest(app.org_ids('viewer'))));

-- breaks policy-subquery: = ANY, over a set instead of an array
create policy p on public.clients for select to authenticated
  using (organization_id = any (select unnest(app.org_ids('viewer'))));

-- breaks policy-per-row: the array, asked for every row
create policy p on public.clients for select to authenticated
  using (organization_id = any (app.org_ids('viewer')));

-- breaks policy-per-row: who asks, asked for every row
create policy p on public.clients for select to authenticated
  using (assigned_to = auth.uid());

-- breaks policy-per-row: one way right, one way not
create policy p on public.clients for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]) or assigned_to = auth.uid());

-- breaks policy-per-row: a claim, read for every row
create policy p on public.clients for select to authenticated
  using (organization_id = (current_setting('request.jwt.claims')::jsonb ->> 'org')::uuid);

-- breaks policy-per-row: a function of the row
create policy p on public.clients for select to authenticated
  using (app.is_member(organization_id));

-- breaks policy-subquery: a function of the row, wrapped
create policy p on public.clients for select to authenticated
  using ((select app.is_member(organization_id)));

-- breaks policy-per-row: a function of the row, beside the right form
create policy p on public.clients for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]) and app.is_member(organization_id));

-- breaks policy-per-row: a function of the row, in a check
create policy p on public.clients for insert to authenticated
  with check (app.is_member(organization_id));

-- breaks policy-per-row: a function of the row, restrictive
create policy p on public.clients as restrictive for select to authenticated
  using (app.is_member(organization_id));

-- breaks policy-unscoped: a way around the tenant
create policy p on public.clients for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]) or stage = 'lead');

-- breaks policy-unscoped: open while nobody is signed in
create policy p on public.clients for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]) or (select auth.uid()) is null);

-- breaks policy-unscoped: every tenant but one's own
create policy p on public.clients for select to authenticated
  using (not organization_id = any ((select app.org_ids('viewer'))::uuid[]));

-- breaks policy-unscoped: the column is cast, so its index does not fit
create policy p on public.clients for select to authenticated
  using (organization_id::text = (select auth.jwt() ->> 'org'));

-- breaks policy-unscoped: not compared for equality
create policy p on public.clients for select to authenticated
  using (organization_id > (select auth.uid()));

-- breaks policy-unscoped: true for whoever is signed in
create policy p on public.clients for select to authenticated
  using (true);

-- breaks policy-unscoped: one tenant for everybody
create policy p on public.clients for select to authenticated
  using (organization_id = (select '00000000-0000-4000-8000-000000000000'::uuid));

-- breaks policy-unscoped: a check of something else
create policy p on public.clients for insert to authenticated
  with check (stage = 'lead');

-- breaks policy-unscoped: strangers write
create policy p on public.clients for update to anon
  using (stage = 'lead');

-- breaks policy-unindexed: no index
create policy p on public.clients for select to authenticated
  using (source = (select auth.role()));

-- breaks policy-unindexed: no index on one of two ways
create policy p on public.clients for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]) or source = (select auth.role()));

-- breaks policy-unindexed: the index has only some rows
create index on public.clients (source) where stage = 'lead';
create policy p on public.clients for select to authenticated
  using (source = (select auth.role()));

-- breaks policy-unindexed: the index begins with another column
create index on public.clients (stage, source);
create policy p on public.clients for select to authenticated
  using (source = (select auth.role()));

-- breaks policy-unindexed: the index went away
drop index public.messages_conversation_id_idx;

-- breaks policy-always-true: deleting
create policy p on public.clients for delete to authenticated
  using (true);

-- breaks policy-always-true: inserting
create policy p on public.clients for insert to authenticated
  with check (1 = 1);

-- breaks policy-always-true: after an update
create policy p on public.clients for update to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[])) with check (true);

-- breaks policy-for-everybody: no role
create policy p on public.clients for insert
  with check (organization_id = any ((select app.org_ids('viewer'))::uuid[]));

-- breaks policy-for-everybody: PUBLIC, later
alter policy members_read on public.refunds to public;

-- breaks policy-user-metadata: what users edit themselves
create policy p on public.clients for select to authenticated
  using (organization_id = (select (auth.jwt() -> 'user_metadata' ->> 'org')::uuid));

-- breaks policy-user-metadata: what the request itself says
create policy p on public.clients for select to authenticated
  using (organization_id = (select (current_setting('request.headers')::json ->> 'x-organization')::uuid));

-- breaks policy-multiple: two for one command
create policy p on public.clients for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy q on public.clients for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));

-- breaks policy-multiple: one for all commands, one for some
create policy p on public.clients to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
create policy q on public.clients for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));

-- breaks policy-public: a table of no tenant
create table public.countries (code text primary key);
alter table public.countries enable row level security;
create policy p on public.countries for select to authenticated
  using (true);
