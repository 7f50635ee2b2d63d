select c.relrowsecurity and not pg_catalog.has_any_column_privilege('anon', c.oid, 'select, insert, update') as protected
from pg_catalog.pg_class as c
where c.oid = 'public.vendor_ratings'::regclass;
