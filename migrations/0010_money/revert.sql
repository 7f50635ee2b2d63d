-- Without CASCADE: whatever somebody else has built on these tables stops the revert instead of going with them.
drop table public.refunds;
drop table public.payments;
drop table public.stripe_events;
drop table public.invoice_lines;
drop table public.invoices;
drop table public.subscriptions;
