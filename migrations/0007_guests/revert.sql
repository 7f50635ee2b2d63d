-- Without CASCADE: whatever somebody else has built on these tables stops the revert instead of going with them.
drop table public.seat_assignments;
drop table public.seating_tables;
drop table public.rsvps;
drop table public.guests;
drop table public.households;
