-- name: touched
-- What this transaction has locked strongly enough to have changed it. Locks tell it without reading the script: DROP and
-- ALTER keep ACCESS EXCLUSIVE, ALTER SEQUENCE keeps SHARE ROW EXCLUSIVE, and whoever writes a row keeps ROW EXCLUSIVE.
select l.relation::pg_catalog.int8, pg_catalog.bool_or(l.mode = 'RowExclusiveLock'),
    pg_catalog.bool_or(l.mode = 'AccessExclusiveLock')
from pg_catalog.pg_locks as l
where l.pid = pg_catalog.pg_backend_pid() and l.granted and l.locktype = 'relation'
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
group by l.relation

-- name: touched_large_objects
-- lo_unlink keeps a lock on the object, writing into one keeps ROW EXCLUSIVE on the table of all of them.
select pg_catalog.count(*) > 0
from pg_catalog.pg_locks as l
where l.pid = pg_catalog.pg_backend_pid() and l.granted
  and (l.locktype = 'object' and l.classid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
       or l.locktype = 'relation' and l.relation = 'pg_catalog.pg_largeobject'::pg_catalog.regclass and l.mode = 'RowExclusiveLock')

-- name: relations
-- Those of the given relations that can hold values: tables, foreign tables, sequences, and composite types, whose
-- attributes are values inside other tables. A temporary table ends with its session and is nobody's data.
select c.oid::pg_catalog.int8, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), c.relkind::text,
    c.relfilenode::pg_catalog.int8,
    d.refobjid::pg_catalog.int8, d.refobjsubid
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_depend as d -- the column a sequence goes with: serial or identity
    on c.relkind = 'S' and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
where c.oid = any(%s::pg_catalog.int8[]) and c.relkind in ('r', 'p', 'f', 'S', 'c') and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'wedsync_db')

-- name: columns
-- A default counts as constant when it is made of immutable functions alone: then the server can say what it is.
select a.attrelid::pg_catalog.int8, a.attnum, a.attname,
    pg_catalog.format_type(a.atttypid, a.atttypmod) || '/' || a.attcollation,
    case
        when a.attgenerated <> '' then 'generated'
        when a.attidentity <> '' then 'variable'
        when e.oid is null then 'none'
        when e.adbin::text ~ 'SQLVALUEFUNCTION|NEXTVALUEEXPR' then 'variable'
        when exists (
            select
            from pg_catalog.regexp_matches(e.adbin::text, ':(?:op)?funcid (\d+)', 'g') as m
            join pg_catalog.pg_proc as p on p.oid = m[1]::pg_catalog.oid
            where p.provolatile <> 'i'
        ) then 'variable'
        else 'constant'
    end,
    pg_catalog.pg_get_expr(e.adbin, e.adrelid),
    pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_attribute as a
left join pg_catalog.pg_attrdef as e on e.adrelid = a.attrelid and e.adnum = a.attnum
where a.attrelid = any(%s::pg_catalog.int8[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum

-- name: positions
-- Counted upwards for a sequence that goes down, so that further is always more.
select s.seqrelid::pg_catalog.int8,
    pg_catalog.pg_sequence_last_value(s.seqrelid)::pg_catalog.numeric * pg_catalog.sign(s.seqincrement::pg_catalog.numeric)
from pg_catalog.pg_sequence as s
where s.seqrelid = any(%s::pg_catalog.int8[])

-- name: written_values
-- Values of a column that somebody may have written: all that are not what the column holds by itself.
select pg_catalog.count(*) from only {relation} where {column}::pg_catalog.text is distinct from {default}

-- name: all_values
-- Of a column whose default differs from row to row nobody can tell which values were written.
select pg_catalog.count(*) from only {relation}
