-- Suppliers, people, clients, forms, drafts and weddings, with keys that are numbers in a range of their own: the scripts
-- make them from what was drawn. The settings load.tenants and load.users say how many.
create function pg_temp.key(n bigint) returns uuid language sql immutable
  as $$ select ('10ad7e57-0000-8000-8000-' || pg_catalog.lpad(pg_catalog.to_hex(n), 12, '0'))::uuid $$;
create function pg_temp.tenants() returns bigint language sql stable
  as $$ select pg_catalog.current_setting('load.tenants')::bigint $$;

insert into public.organizations (id, name, slug, category, time_zone)
  select pg_temp.key(n), 'Supplier ' || n, 'load-' || n, 'venue', 'Europe/London'
  from pg_catalog.generate_series(0, pg_temp.tenants() - 1) as n;

insert into public.profiles (id, email, display_name)
  select pg_temp.key(n), 'user-' || n || '@load.example', 'User ' || n
  from pg_catalog.generate_series(0, pg_catalog.current_setting('load.users')::bigint - 1) as n;
insert into public.memberships (id, organization_id, profile_id, role)
  select pg_temp.key(n), pg_temp.key(n % pg_temp.tenants()), pg_temp.key(n), 'member'
  from pg_catalog.generate_series(0, pg_catalog.current_setting('load.users')::bigint - 1) as n;

-- 100 clients, two weddings and their guests for each supplier: numbers are the supplier's plus a multiple of how many
-- suppliers there are
insert into public.clients (id, organization_id, name, stage, wedding_date, budget_minor, currency)
  select pg_temp.key(t + pg_temp.tenants() * n), pg_temp.key(t), 'Client ' || n,
         (array['lead', 'quoted', 'booked', 'completed', 'lost'])[1 + n % 5],
         date '2030-01-01' + (n * 7 % 700)::integer, 100000 + n * 997 % 900000, 'GBP'
  from pg_catalog.generate_series(0, pg_temp.tenants() - 1) as t, pg_catalog.generate_series(0, 99) as n;

insert into public.forms (id, organization_id, title, slug)
  select pg_temp.key(t), pg_temp.key(t), 'Questionnaire', 'questionnaire'
  from pg_catalog.generate_series(0, pg_temp.tenants() - 1) as t;
insert into public.form_drafts (id, organization_id, form_id, client_id, answers)
  select pg_temp.key(t + pg_temp.tenants() * n), pg_temp.key(t), pg_temp.key(t),
         pg_temp.key(t + pg_temp.tenants() * n),
         pg_catalog.jsonb_build_object('church', 'St Mary''s', 'note', pg_catalog.repeat('at noon ', 40))
  from pg_catalog.generate_series(0, pg_temp.tenants() - 1) as t, pg_catalog.generate_series(0, 19) as n;

insert into public.weddings (id, title, wedding_date, time_zone)
  select pg_temp.key(n), 'Wedding ' || n, date '2030-01-01' + (n * 7 % 700)::integer, 'Europe/London'
  from pg_catalog.generate_series(0, 2 * pg_temp.tenants() - 1) as n;
insert into public.wedding_vendors (id, wedding_id, organization_id, category, status, scopes, responded_at)
  select pg_temp.key(n), pg_temp.key(n), pg_temp.key(n % pg_temp.tenants()), 'venue', 'accepted',
         array['overview', 'people', 'timeline', 'timeline_edit', 'guests'], pg_catalog.now()
  from pg_catalog.generate_series(0, 2 * pg_temp.tenants() - 1) as n;
insert into public.wedding_events (id, wedding_id, kind, name, starts_at, ends_at)
  select pg_temp.key(n), pg_temp.key(n), 'ceremony', 'Ceremony', timestamptz '2030-06-01 12:00Z', '2030-06-01 13:00Z'
  from pg_catalog.generate_series(0, 2 * pg_temp.tenants() - 1) as n;
insert into public.timeline_items (id, wedding_id, event_id, title, starts_at, ends_at)
  select pg_temp.key(w + 2 * pg_temp.tenants() * n), pg_temp.key(w), pg_temp.key(w), 'Item ' || n,
         timestamptz '2030-06-01 12:00Z' + n * interval '10 minutes', timestamptz '2030-06-01 12:10Z' + n * interval '10 minutes'
  from pg_catalog.generate_series(0, 2 * pg_temp.tenants() - 1) as w, pg_catalog.generate_series(0, 19) as n;
insert into public.guests (id, wedding_id, given_name, family_name)
  select pg_temp.key(w + 2 * pg_temp.tenants() * n), pg_temp.key(w), 'Guest ' || n, 'Family ' || n % 41
  from pg_catalog.generate_series(0, 2 * pg_temp.tenants() - 1) as w, pg_catalog.generate_series(0, 149) as n;
