-- Without CASCADE: whatever somebody else has built on these tables stops the revert instead of going with them.
drop table public.contracts;
drop function app.keep_signed();
drop table public.bookings;
drop table public.resources;
drop table public.packages;
