-- Without CASCADE: whatever somebody else has built on these tables stops the revert instead of going with them.
drop table public.api_keys;
drop table public.invitations;
drop table public.memberships;
drop table public.profiles;
drop table public.organizations;
