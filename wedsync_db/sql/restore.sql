-- name: occupied
-- the first thing somebody put into this database: a restore goes into an empty one only
select pg_catalog.pg_describe_object(o.classid, o.oid, 0)
from (
  select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid as classid, oid, relnamespace as namespace
  from pg_catalog.pg_class where relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
  union all
  select 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, oid, pronamespace from pg_catalog.pg_proc
  union all
  select 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid, oid, typnamespace from pg_catalog.pg_type
  where typtype in ('d', 'e', 'r')
  union all
  select 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid, oid, oid
  from pg_catalog.pg_namespace where nspname <> 'public'
) o
join pg_catalog.pg_namespace n on n.oid = o.namespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (
    select from pg_catalog.pg_depend d where d.classid = o.classid and d.objid = o.oid and d.deptype = 'e')
limit 1

-- name: extensions
-- what CREATE EXTENSION could find on this server
select name::text from pg_catalog.pg_available_extensions

-- name: role_names
-- roles that are here already stay as they are
select rolname::text from pg_catalog.pg_roles

-- name: user_mappings
-- with these a foreign table would reach the real neighbour, with its real password
select srvname::text, usename::text from pg_catalog.pg_user_mappings order by 1, 2

-- name: cron
-- pg_cron's table of jobs, where the extension is installed
select pg_catalog.to_regclass('cron.job') is not null

-- name: stop_cron
-- jobs of a copy would run a second time what production runs
update cron.job set active = false where active

-- name: sequences
-- in which direction a restored sequence may be ahead; one that cycles cannot be judged
select pg_catalog.format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value), increment_by > 0, cycle
from pg_catalog.pg_sequences
