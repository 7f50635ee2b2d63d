-- Back to nobody but the owner: what 0003_tenancy and 0004_weddings left.

revoke all on public.organizations, public.profiles, public.memberships, public.invitations, public.api_keys,
    public.weddings, public.wedding_people, public.wedding_vendors, public.wedding_events, public.timeline_items
  from authenticated, service_role;

drop policy editors_delete on public.timeline_items;
drop policy editors_update on public.timeline_items;
drop policy editors_insert on public.timeline_items;
drop policy invited_read on public.timeline_items;
drop policy couple_delete on public.wedding_events;
drop policy couple_update on public.wedding_events;
drop policy couple_insert on public.wedding_events;
drop policy invited_read on public.wedding_events;
drop policy couple_delete on public.wedding_vendors;
drop policy couple_update on public.wedding_vendors;
drop policy couple_insert on public.wedding_vendors;
drop policy couple_and_supplier_read on public.wedding_vendors;
drop policy couple_delete on public.wedding_people;
drop policy couple_update on public.wedding_people;
drop policy couple_insert on public.wedding_people;
drop policy invited_read on public.wedding_people;
drop policy couple_update on public.weddings;
drop policy invited_read on public.weddings;
drop policy admins_update on public.api_keys;
drop policy admins_read on public.api_keys;
drop policy admins_update on public.invitations;
drop policy admins_read on public.invitations;
drop policy admins_delete on public.memberships;
drop policy admins_update on public.memberships;
drop policy colleagues_read on public.memberships;
drop policy own_update on public.profiles;
drop policy own_read on public.profiles;
drop policy admins_update on public.organizations;
drop policy members_read on public.organizations;

drop function app.wedding_ids(text);
drop function app.org_ids(text);
