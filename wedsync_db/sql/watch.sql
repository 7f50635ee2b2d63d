-- name: inside
-- From the traced session: what it reads sequentially in this transaction, and which file each table's rows are in.
select c.oid::pg_catalog.int8, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relfilenode::pg_catalog.int8,
       pg_catalog.pg_stat_get_xact_tuples_returned(c.oid)
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm')
   and n.nspname !~ '^pg_'
   and n.nspname not in ('information_schema', 'wedsync_db')

-- name: flush
-- A statement that was its own transaction has handed its counters on; make it do so now and not within a second.
select pg_catalog.pg_stat_force_next_flush()

-- name: outside_counters
-- The handed-on counters, for statements that are transactions of their own.
select c.oid::pg_catalog.int8, pg_catalog.pg_stat_get_tuples_returned(c.oid)
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm')
   and n.nspname !~ '^pg_'
   and n.nspname not in ('information_schema', 'wedsync_db')

-- name: locks
-- From the observer, whose catalog still has what the traced transaction dropped and has not what it created. Views and
-- materialized views are told too; of indexes only what keeps readers away from them.
select l.relation::pg_catalog.int8, l.mode,
       case when c.oid is not null then pg_catalog.format('%%I.%%I', n.nspname, c.relname) end,
       c.relkind::pg_catalog.text
  from pg_catalog.pg_locks l
  left join pg_catalog.pg_class c on c.oid = l.relation
  left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where l.pid = %s
   and l.locktype = 'relation'
   and l.granted
   and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
   and l.relation >= 16384
   and (n.nspname is null or (n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'wedsync_db')))
   and (c.relkind is null or c.relkind in ('r', 'p', 'v', 'm', 'f') or (c.relkind = 'i' and l.mode = 'AccessExclusiveLock'))

-- name: names
-- After the commit: what the relations are called that the observer could not see before. Tables and views only.
select c.oid::pg_catalog.int8, pg_catalog.format('%%I.%%I', n.nspname, c.relname)
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.oid = any (%s::pg_catalog.int8[]::pg_catalog.oid[]) and c.relkind in ('r', 'p', 'v', 'm', 'f')
   and n.nspname !~ '^pg_' and n.nspname <> 'wedsync_db'

-- name: wal
-- Where the next WAL record goes, in bytes: the difference is what a statement wrote.
select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::pg_catalog.int8
