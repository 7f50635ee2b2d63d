-- The supplier's first page: money by stage, and the next weddings.
select organization_id, stage, pg_catalog.count(*), pg_catalog.sum(budget_minor)
from public.clients
where organization_id = ('10ad7e57-0000-8000-8000-' || pg_catalog.lpad(pg_catalog.to_hex(:tenant), 12, '0'))::uuid
group by organization_id, stage;
select organization_id, id, name, wedding_date
from public.clients
where organization_id = ('10ad7e57-0000-8000-8000-' || pg_catalog.lpad(pg_catalog.to_hex(:tenant), 12, '0'))::uuid
  and stage = 'booked'
order by wedding_date
limit 20;
