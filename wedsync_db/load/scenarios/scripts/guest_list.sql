-- A page of a wedding's guests, for a supplier who may see them.
select id, full_name, dietary
from public.guests
where wedding_id = ('10ad7e57-0000-8000-8000-'
                    || pg_catalog.lpad(pg_catalog.to_hex(:tenant + :tenants * :wedding), 12, '0'))::uuid
order by family_name, given_name, id
limit 50;
