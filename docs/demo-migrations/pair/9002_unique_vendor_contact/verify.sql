select i.indisvalid and i.indisunique as contact_is_unique
from pg_catalog.pg_index as i
where i.indexrelid = 'public.wedding_vendors_contact_key'::regclass;
