-- The running order of a wedding's day.
select id, title, starts_at, ends_at, done_at
from public.timeline_items
where wedding_id = ('10ad7e57-0000-8000-8000-'
                    || pg_catalog.lpad(pg_catalog.to_hex(:tenant + :tenants * :wedding), 12, '0'))::uuid
order by starts_at;
