-- A form that is being typed saves itself.
update public.form_drafts
set answers = pg_catalog.jsonb_build_object('church', 'St Mary''s', 'note', pg_catalog.repeat('at noon ', 40), 'n', :word),
    seq = seq + 1
where id = ('10ad7e57-0000-8000-8000-'
            || pg_catalog.lpad(pg_catalog.to_hex(:tenant + :tenants * :draft), 12, '0'))::uuid
returning organization_id;
