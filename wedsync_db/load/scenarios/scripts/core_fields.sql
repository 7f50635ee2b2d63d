-- A supplier edits a client.
update public.clients
set budget_minor = 100000 + :word
where id = ('10ad7e57-0000-8000-8000-'
            || pg_catalog.lpad(pg_catalog.to_hex(:tenant + :tenants * :client), 12, '0'))::uuid
returning organization_id;
