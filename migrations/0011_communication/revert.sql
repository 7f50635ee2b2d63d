-- Without CASCADE: whatever somebody else has built on these tables stops the revert instead of going with them.
drop table public.files;
drop table public.notifications;
drop table public.messages;
drop table public.conversations;
drop function app.conversation_ids(text);
