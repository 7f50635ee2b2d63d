-- name: writable
-- A standby takes no writes; a server, database or role may be set to read-only by its administrator.
select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')::boolean

-- name: server_time
-- Seconds since 1970 by the server's clock, now and not at the start of the transaction; a number, as the session's time
-- zone may be one that Python does not know.
select extract(epoch from pg_catalog.clock_timestamp())::double precision

-- name: blockers
-- What DDL or CREATE INDEX CONCURRENTLY would wait for: old transactions of this database, vacuums that do not give way,
-- and prepared transactions, which hold their locks across restarts. No query text: it may hold row values.
select
  'session', a.pid::text, coalesce(a.usename, '')::text, a.application_name, a.state,
  extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::double precision
from pg_catalog.pg_stat_activity as a
where a.datname = pg_catalog.current_database()
  and a.pid <> pg_catalog.pg_backend_pid()
  and a.backend_type in ('client backend', 'background worker')
  and a.xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => %(seconds)s)
union all
select
  'vacuum', a.pid::text, '', a.backend_type, a.state,
  extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::double precision
from pg_catalog.pg_stat_activity as a
where a.datname = pg_catalog.current_database()
  and a.backend_type = 'autovacuum worker'
  and a.query like 'autovacuum: %%(to prevent wraparound)'
union all
select
  'prepared', p.gid, p.owner::text, '', 'prepared',
  extract(epoch from pg_catalog.clock_timestamp() - p.prepared)::double precision
from pg_catalog.pg_prepared_xacts as p
where p.database = pg_catalog.current_database()
  and p.prepared < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => %(seconds)s)
order by 6 desc nulls last

-- name: hidden_sessions
-- Sessions whose transactions this role is not shown: pg_stat_activity keeps all but names and numbers from it. Only
-- sessions of a user, as autovacuum gives way by itself.
select pg_catalog.count(*)
from pg_catalog.pg_stat_activity as a
where a.datname = pg_catalog.current_database()
  and a.usesysid is not null
  and a.query = '<insufficient privilege>'

-- name: privileges
-- The ledger's schema is created once, then only used; tables of other owners cannot be altered by this role.
select
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
  (
    select pg_catalog.has_schema_privilege(n.oid, 'CREATE')
    from pg_catalog.pg_namespace as n
    where n.nspname = 'wedsync_db'
  ),
  current_user::text

-- name: rights
-- What a deployment needs of the server whatever the database holds today: docs/grants.sql grants it. A superuser is a
-- member of every role.
select
  r.rolname::text, pg_catalog.current_database()::text, r.rolsuper, r.rolsuper or r.rolbypassrls,
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
  pg_catalog.pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE')
from pg_catalog.pg_roles as r
where r.rolname = current_user

-- name: tables_of_others
-- Tables, as seen by ALTER TABLE, that belong to roles this one is no member of.
select pg_catalog.count(*), pg_catalog.min(pg_catalog.format('%I.%I', n.nspname, c.relname))
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\_t%'
  and not pg_catalog.pg_has_role(c.relowner, 'USAGE')

-- name: partly_visible_tables
-- Tables this role cannot read, or reads only in part under row-level security: a dump fails on both. Tables of
-- extensions are the extension's to dump.
select
  pg_catalog.format('%I.%I', n.nspname, c.relname),
  pg_catalog.has_table_privilege(c.oid, 'SELECT') and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\_t%'
  and not exists (
    select from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
  and (
    pg_catalog.row_security_active(c.oid)
    or not pg_catalog.has_table_privilege(c.oid, 'SELECT')
    or not pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  )
order by 1

-- name: encrypted
-- What the server knows of this very connection, not what the client asked for.
select coalesce((select s.ssl from pg_catalog.pg_stat_ssl as s where s.pid = pg_catalog.pg_backend_pid()), false)

-- name: database_size
-- Bytes on the server's disk; a dump is smaller, its restore about as large.
select pg_catalog.pg_database_size(pg_catalog.current_database())

-- name: replication
-- Who gets this database's changes, and whose changes it gets. DDL is not replicated logically.
select 'standby', coalesce(nullif(r.application_name, ''), r.pid::text)
from pg_catalog.pg_stat_replication as r
union all
select case when s.slot_type = 'logical' then 'logical slot' else 'slot' end, s.slot_name::text
from pg_catalog.pg_replication_slots as s
where s.database = pg_catalog.current_database() or s.database is null
union all
select 'subscription', s.subname::text
from pg_catalog.pg_subscription as s
join pg_catalog.pg_database as d on d.oid = s.subdbid
where d.datname = pg_catalog.current_database()
order by 1, 2

-- name: knows_weddings
-- Whether this is a database of WedSync's: any other has no such function.
select pg_catalog.to_regprocedure('ops.deploy_window(timestamp with time zone, timestamp with time zone)') is not null

-- name: deploy_window
-- Whose wedding would be near, if something were done from now on, for so long. The server's clock counts, and now is
-- not when the transaction began. Times as seconds since 1970, as for server_time.
select
  w.verdict, w.reasons, w.weddings_locked, w.organizations_touched,
  extract(epoch from w.next_release)::double precision, extract(epoch from w.next_open)::double precision
from (select pg_catalog.to_timestamp(%(start)s), pg_catalog.to_timestamp(%(end)s)) as t (starts, ends)
cross join lateral ops.deploy_window(t.starts, t.ends) as w
