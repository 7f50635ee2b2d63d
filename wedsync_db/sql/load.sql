-- name: acting_triggers
-- What acts on made-up rows: nobody is audited for them. What was off stays off, and what keeps references right stays on.
select n.nspname, c.relname, t.tgname, t.tgenabled = 'A'
  from pg_catalog.pg_trigger as t
  join pg_catalog.pg_class as c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
 where not t.tgisinternal and t.tgparentid = 0 and t.tgenabled in ('O', 'A') and c.relkind in ('r', 'p')
 order by n.nspname, c.relname, t.tgname

-- name: connections
-- How many connections there are for everybody; 16 and later may keep some for others.
select pg_catalog.current_setting('max_connections')::integer
         - pg_catalog.current_setting('superuser_reserved_connections')::integer
         - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::integer

-- name: timeout
-- How long this session's statements may take, in milliseconds.
select s.setting from pg_catalog.pg_settings as s where s.name = 'statement_timeout'
