-- requires: 0003_tenancy, 0004_weddings
-- Who may do what. Two functions answer "which tenants is this person in"; every policy compares the tenant column with
-- their answer as a scalar array, `= any ((select f())::uuid[])`: asked once a statement, and the tenant's index stays in
-- use. IN or EXISTS over the memberships would filter every row of the table instead.

-- Organizations in which the current user has at least this role. Fails closed: nobody signed in, an unknown role, a
-- suspended membership and a closed organization all give an empty array. SECURITY DEFINER, because the policies of
-- memberships ask it too; hence the fixed search_path with pg_temp last, or a temporary table could stand in for ours.
create function app.org_ids(least_role text) returns uuid[]
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select coalesce(array_agg(m.organization_id), '{}')
    from public.memberships as m
    join public.organizations as o on o.id = m.organization_id
    where m.profile_id = (select auth.uid())
      and m.status = 'active'
      and o.status = 'active'
      and array_position(array['viewer', 'member', 'admin', 'owner'], m.role)
          >= array_position(array['viewer', 'member', 'admin', 'owner'], least_role)
  $$;
comment on function app.org_ids(text) is 'organizations in which the current user has at least this role';

-- Weddings the current user reaches in this scope: its partners in every one; of an accepted supplier's people those
-- the couple gave the scope to, and in a scope that edits only members and above. 'couple' is never given to a supplier.
create function app.wedding_ids(scope text) returns uuid[]
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select coalesce(array_agg(reached.wedding_id), '{}')
    from (
      select p.wedding_id
      from public.wedding_people as p
      where p.profile_id = (select auth.uid()) and p.role = 'partner'
      union
      select v.wedding_id
      from public.wedding_vendors as v
      where v.organization_id = any ((select app.org_ids(case when scope like '%\_edit' then 'member' else 'viewer' end))::uuid[])
        and v.status = 'accepted'
        and scope = any (v.scopes)
    ) as reached
    where scope in ('couple', 'overview', 'people', 'timeline', 'timeline_edit', 'guests')
  $$;
comment on function app.wedding_ids(text) is 'weddings the current user reaches in this scope';

revoke all on function app.org_ids(text), app.wedding_ids(text) from public;
grant execute on function app.org_ids(text), app.wedding_ids(text) to authenticated;

-- Every policy names its role, and anon has none and no grant. What is not granted here is done by the platform's own
-- server side: signing up, inviting, accepting, making keys. Secrets' hashes cannot even be read. No tenant column may be
-- updated: a row that could move would carry its contents into another tenant.

create policy members_read on public.organizations for select to authenticated
  using (id = any ((select app.org_ids('viewer'))::uuid[]));
create policy admins_update on public.organizations for update to authenticated
  using (id = any ((select app.org_ids('admin'))::uuid[]));
grant select, update (name, category, time_zone) on public.organizations to authenticated;

create policy own_read on public.profiles for select to authenticated
  using (id = (select auth.uid()));
create policy own_update on public.profiles for update to authenticated
  using (id = (select auth.uid()));
grant select, update (display_name, locale) on public.profiles to authenticated;

-- an admin may neither make nor unmake an owner
create policy colleagues_read on public.memberships for select to authenticated
  using (organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy admins_update on public.memberships for update to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[])
         and (role <> 'owner' or organization_id = any ((select app.org_ids('owner'))::uuid[])));
create policy admins_delete on public.memberships for delete to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[])
         and (role <> 'owner' or organization_id = any ((select app.org_ids('owner'))::uuid[])));
grant select, update (role, status), delete on public.memberships to authenticated;

create policy admins_read on public.invitations for select to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
create policy admins_update on public.invitations for update to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select (id, organization_id, email, role, invited_by, expires_at, accepted_at, revoked_at, created_at),
  update (revoked_at) on public.invitations to authenticated;

create policy admins_read on public.api_keys for select to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
create policy admins_update on public.api_keys for update to authenticated
  using (organization_id = any ((select app.org_ids('admin'))::uuid[]));
grant select (id, organization_id, name, prefix, scopes, created_by, last_used_at, expires_at, revoked_at, created_at),
  update (name, revoked_at) on public.api_keys to authenticated;

create policy invited_read on public.weddings for select to authenticated
  using (id = any ((select app.wedding_ids('overview'))::uuid[]));
create policy couple_update on public.weddings for update to authenticated
  using (id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select, update (title, wedding_date, time_zone, venue_name, guest_estimate, status) on public.weddings
  to authenticated;

-- profile_id is not theirs to set: linking a person to a sign-in gives that sign-in the wedding
create policy invited_read on public.wedding_people for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('people'))::uuid[]));
create policy couple_insert on public.wedding_people for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_update on public.wedding_people for update to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_delete on public.wedding_people for delete to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select, insert (wedding_id, role, given_name, family_name, email),
  update (role, given_name, family_name, email), delete on public.wedding_people to authenticated;

-- the couple decides what a supplier sees; whether it accepts is the supplier's answer and comes through the server side
create policy couple_and_supplier_read on public.wedding_vendors for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[])
         or organization_id = any ((select app.org_ids('viewer'))::uuid[]));
create policy couple_insert on public.wedding_vendors for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_update on public.wedding_vendors for update to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_delete on public.wedding_vendors for delete to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select, insert (wedding_id, organization_id, category, scopes, contact_email),
  update (category, scopes, contact_email), delete on public.wedding_vendors to authenticated;

create policy invited_read on public.wedding_events for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('overview'))::uuid[]));
create policy couple_insert on public.wedding_events for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_update on public.wedding_events for update to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_delete on public.wedding_events for delete to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select, insert (wedding_id, kind, name, place, starts_at, ends_at),
  update (kind, name, place, starts_at, ends_at), delete on public.wedding_events to authenticated;

create policy invited_read on public.timeline_items for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('timeline'))::uuid[]));
create policy editors_insert on public.timeline_items for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('timeline_edit'))::uuid[]));
create policy editors_update on public.timeline_items for update to authenticated
  using (wedding_id = any ((select app.wedding_ids('timeline_edit'))::uuid[]));
create policy editors_delete on public.timeline_items for delete to authenticated
  using (wedding_id = any ((select app.wedding_ids('timeline_edit'))::uuid[]));
grant select, insert (wedding_id, event_id, vendor_id, title, notes, starts_at, ends_at, done_at),
  update (event_id, vendor_id, title, notes, starts_at, ends_at, done_at), delete on public.timeline_items
  to authenticated;

-- the platform's server side: all rows, never TRUNCATE
grant select, insert, update, delete on public.organizations, public.profiles, public.memberships, public.invitations,
    public.api_keys, public.weddings, public.wedding_people, public.wedding_vendors, public.wedding_events,
    public.timeline_items
  to service_role;
