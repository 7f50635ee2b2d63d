-- name: triggers
-- What switches the tables' own triggers off, or on again: nobody is audited for made-up rows. Those that keep what refers
-- to what stay.
select 'alter table ' || t.tgrelid::pg_catalog.regclass || ' ' || %(switch)s || ' trigger user'
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
where not t.tgisinternal and t.tgparentid = 0 and c.relkind in ('r', 'p')
group by t.tgrelid

-- name: server
-- The version, and how many connections there are for everybody; 16 and later may keep some for others.
select pg_catalog.current_setting('server_version'),
       pg_catalog.current_setting('max_connections')::integer
         - pg_catalog.current_setting('superuser_reserved_connections')::integer
         - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::integer

-- name: timeout
-- How long this session's statements may take, in milliseconds.
select s.setting from pg_catalog.pg_settings as s where s.name = 'statement_timeout'
