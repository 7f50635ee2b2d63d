-- Without CASCADE: whatever somebody else has built on these tables stops the revert instead of going with them.
drop table public.tasks;
drop table public.client_notes;
drop table public.clients;
