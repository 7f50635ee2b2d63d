-- Without CASCADE: whatever somebody else has built on these tables stops the revert instead of going with them.
drop table public.timeline_items;
drop table public.wedding_events;
drop table public.wedding_vendors;
drop table public.wedding_people;
drop table public.weddings;
