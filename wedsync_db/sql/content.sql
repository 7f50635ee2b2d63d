-- name: tables
-- every table that holds rows of its own: ordinary tables and the leaves of partitioned ones. Not ours, not the
-- system's, not an extension's: those are compared by other means, or rebuilt by their extension
select pg_catalog.format('%I.%I', n.nspname, c.relname)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r'
  and c.relpersistence <> 't'
  and n.nspname !~ '^pg_'
  and n.nspname not in ('information_schema', 'wedsync_db')
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
order by n.nspname collate "C", c.relname collate "C"

-- name: columns
-- by name, not by position: a dump rebuilds an inheritance child with its inherited columns first
select a.attname::text
from pg_catalog.pg_attribute a
where a.attrelid = %s::pg_catalog.text::pg_catalog.regclass and a.attnum > 0 and not a.attisdropped
order by a.attname collate "C"

-- name: measure
-- the sum does not depend on the order of the rows and, with the count, sees a row that is there twice; numeric, so that
-- it cannot overflow; the "C" collation makes the hash one of bytes
select pg_catalog.count(*),
       coalesce(pg_catalog.sum(
         pg_catalog.hashtextextended(row({columns})::pg_catalog.text collate "C", 0)), 0)::pg_catalog.text
from only {relation}

-- name: some_blocks
-- behind `measure`, for a part of a large table. PostgreSQL goes to these blocks only (a TID range scan)
where ctid >= {first}::pg_catalog.tid and ctid < {last}::pg_catalog.tid

-- name: settings
-- what the text form depends on, as it is now, to be put back
select name, pg_catalog.current_setting(name) from pg_catalog.unnest(%s::pg_catalog.text[]) as name

-- name: set
-- several settings in one round trip
select pg_catalog.set_config(name, value, false)
from rows from (pg_catalog.unnest(%s::pg_catalog.text[]), pg_catalog.unnest(%s::pg_catalog.text[])) as t (name, value)

-- name: sequences
-- a sequence nobody has drawn from has no last value and cannot fall behind
select pg_catalog.format('%I.%I', n.nspname, c.relname), s.last_value
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_sequences s on s.schemaname = n.nspname and s.sequencename = c.relname
where c.relkind = 'S'
  and c.relpersistence <> 't'
  and s.last_value is not null
  and n.nspname <> 'wedsync_db'
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
order by n.nspname collate "C", c.relname collate "C"

-- name: large_objects
-- their content, in parts of a megabyte: lo_get of all of a large one would need as much memory. The sum is as above
select pg_catalog.count(*),
       coalesce(pg_catalog.sum(
         pg_catalog.hashtextextended(m.oid::pg_catalog.text || ':' || c.digests, 0)), 0)::pg_catalog.text
from pg_catalog.pg_largeobject_metadata m
cross join lateral (
  with recursive part (start, length, digest) as (
    select 0::pg_catalog.int8, pg_catalog.length(b), pg_catalog.md5(b)
    from (select pg_catalog.lo_get(m.oid, 0, 1048576) as b offset 0) f
    union all
    select n.start, pg_catalog.length(n.b), pg_catalog.md5(n.b)
    from (
      select p.start + 1048576 as start, pg_catalog.lo_get(m.oid, p.start + 1048576, 1048576) as b
      from part p where p.length = 1048576 offset 0) n
  )
  select pg_catalog.string_agg(digest, ' ' order by start) as digests from part
) c
