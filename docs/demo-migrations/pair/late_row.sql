-- Written after the backup: one more supplier at a wedding, reached through a colleague's address.
insert into public.wedding_vendors (wedding_id, organization_id, category, contact_email)
select hired.wedding_id, other.id, other.category, hired.contact_email
from (
  select wedding_id, contact_email
  from public.wedding_vendors
  where contact_email is not null
  order by id
  limit 1
) as hired
cross join lateral (
  select o.id, o.category
  from public.organizations as o
  where not exists (select from public.wedding_vendors as w where w.wedding_id = hired.wedding_id and w.organization_id = o.id)
  order by o.id
  limit 1
) as other;
