-- Entries are kept: they prove who did what. Locked first, or one could come in between.
lock table audit.log in access exclusive mode;
do $keep$
begin
  if exists (select from audit.log) then
    raise exception 'the audit log has entries'
      using errcode = 'WS006', hint = 'Keep the rows: bring them to a safe place, then empty audit.log by hand.';
  end if;
end
$keep$;

drop trigger audit_delete on public.guests;
drop trigger audit_delete on public.households;
drop trigger audit_delete on public.data_requests;
drop trigger audit_update on public.data_requests;
drop trigger audit_insert on public.data_requests;
drop trigger audit_delete on public.consents;
drop trigger audit_update on public.consents;
drop trigger audit_insert on public.consents;
drop trigger audit_delete on public.files;
drop trigger audit_update on public.files;
drop trigger audit_insert on public.files;
drop trigger audit_delete on public.refunds;
drop trigger audit_update on public.refunds;
drop trigger audit_insert on public.refunds;
drop trigger audit_delete on public.payments;
drop trigger audit_update on public.payments;
drop trigger audit_insert on public.payments;
drop trigger audit_delete on public.invoice_lines;
drop trigger audit_update on public.invoice_lines;
drop trigger audit_insert on public.invoice_lines;
drop trigger audit_delete on public.invoices;
drop trigger audit_update on public.invoices;
drop trigger audit_insert on public.invoices;
drop trigger audit_delete on public.subscriptions;
drop trigger audit_update on public.subscriptions;
drop trigger audit_insert on public.subscriptions;
drop trigger audit_delete on public.contracts;
drop trigger audit_update on public.contracts;
drop trigger audit_insert on public.contracts;
drop trigger audit_delete on public.bookings;
drop trigger audit_update on public.bookings;
drop trigger audit_insert on public.bookings;
drop trigger audit_delete on public.resources;
drop trigger audit_update on public.resources;
drop trigger audit_insert on public.resources;
drop trigger audit_delete on public.packages;
drop trigger audit_update on public.packages;
drop trigger audit_insert on public.packages;
drop trigger audit_delete on public.forms;
drop trigger audit_update on public.forms;
drop trigger audit_insert on public.forms;
drop trigger audit_delete on public.clients;
drop trigger audit_update on public.clients;
drop trigger audit_insert on public.clients;
drop trigger audit_delete on public.wedding_vendors;
drop trigger audit_update on public.wedding_vendors;
drop trigger audit_insert on public.wedding_vendors;
drop trigger audit_delete on public.wedding_people;
drop trigger audit_update on public.wedding_people;
drop trigger audit_insert on public.wedding_people;
drop trigger audit_delete on public.weddings;
drop trigger audit_update on public.weddings;
drop trigger audit_insert on public.weddings;
drop trigger audit_delete on public.api_keys;
drop trigger audit_update on public.api_keys;
drop trigger audit_insert on public.api_keys;
drop trigger audit_delete on public.invitations;
drop trigger audit_update on public.invitations;
drop trigger audit_insert on public.invitations;
drop trigger audit_delete on public.memberships;
drop trigger audit_update on public.memberships;
drop trigger audit_insert on public.memberships;
drop trigger audit_delete on public.profiles;
drop trigger audit_update on public.profiles;
drop trigger audit_insert on public.profiles;
drop trigger audit_delete on public.organizations;
drop trigger audit_update on public.organizations;
drop trigger audit_insert on public.organizations;

delete from app.personal_data where relation = 'audit.log';
delete from app.personal_rows where relation = 'audit.log';
drop function audit.drop_partitions_before(date);
drop function audit.ensure_partitions(date, integer);
drop function audit.write();
drop function audit.masked(text, jsonb);
drop function audit.masks(text);
drop table audit.log;
drop schema audit;
