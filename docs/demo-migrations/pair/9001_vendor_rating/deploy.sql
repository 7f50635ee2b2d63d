-- requires: 0005_access
-- The couple rates each supplier of its wedding once.
create table public.vendor_ratings (
  id uuid primary key default app.uuid_v7(),
  wedding_id uuid not null,
  vendor_id uuid not null,
  stars smallint not null check (stars between 1 and 5),
  created_at timestamptz not null default now(),
  unique (wedding_id, vendor_id),
  foreign key (wedding_id, vendor_id) references public.wedding_vendors (wedding_id, id)
);
comment on table public.vendor_ratings is 'what the couple thinks of its suppliers';

alter table public.vendor_ratings enable row level security;
revoke all on table public.vendor_ratings from public, anon, authenticated, service_role;

create policy couple_read on public.vendor_ratings for select to authenticated
  using (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
create policy couple_insert on public.vendor_ratings for insert to authenticated
  with check (wedding_id = any ((select app.wedding_ids('couple'))::uuid[]));
grant select, insert (wedding_id, vendor_id, stars) on public.vendor_ratings to authenticated;
grant select, insert, update, delete on public.vendor_ratings to service_role;
