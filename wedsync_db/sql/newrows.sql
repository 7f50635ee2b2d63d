-- name: tables
-- Which of these a release writes rows into: tables, partitioned ones as a whole and never single partitions.
select pg_catalog.format('%%I.%%I', n.nspname, c.relname)
  from pg_catalog.unnest(%s::pg_catalog.text[]) as w (relation)
  join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(w.relation)
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
 order by c.oid -- as they were created: what is referred to comes first

-- name: columns
-- What a value for each column has to be like. `unique`: part of a unique index; `references` only for keys of one column.
select a.attname::pg_catalog.text,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       coalesce(b.typcategory, t.typcategory)::pg_catalog.text,
       (select pg_catalog.array_agg(e.enumlabel::pg_catalog.text order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid),
       a.attnotnull,
       a.atthasdef or a.attidentity <> '',
       a.attgenerated <> '',
       a.attidentity <> '' or coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~ '(nextval|gen_random_uuid|uuid_generate)', false),
       exists (select from pg_catalog.pg_index i where i.indrelid = a.attrelid and i.indisprimary and a.attnum = any (i.indkey)),
       exists (select from pg_catalog.pg_index i where i.indrelid = a.attrelid and i.indisunique and a.attnum = any (i.indkey)),
       (select pg_catalog.format('%%s|%%I', f.confrelid::pg_catalog.regclass, r.attname)
          from pg_catalog.pg_constraint f
          join pg_catalog.pg_attribute r on r.attrelid = f.confrelid and r.attnum = f.confkey[1]
         where f.conrelid = a.attrelid and f.contype = 'f' and f.conkey = array[a.attnum] limit 1)
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_type t on t.oid = a.atttypid
  left join pg_catalog.pg_type b on b.oid = t.typbasetype and t.typtype = 'd'
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where a.attrelid = %s::pg_catalog.text::pg_catalog.regclass and a.attnum > 0 and not a.attisdropped
 order by a.attnum

-- name: holds_rows
-- Without a row to copy, defaults and made-up values have to do.
select exists (select from {relation})

-- name: insert
-- One row made of an existing one, where there is one, and of fresh values.
insert into {relation} ({columns})
select {values}
  from (select 1) as one
  left join (select * from {relation} limit 1) as s on true
returning {key}

-- name: insert_defaults
-- The same for a table in which nothing has to be given.
insert into {relation} default values returning {key}

-- name: remove
-- Take one such row away again, by its key.
delete from {relation} where ({key}) = ({values})

-- name: place
-- Oid and column numbers survive a rename, and so tell where a row is after a revert.
select r.oid::pg_catalog.int8,
       (select pg_catalog.array_agg(a.attnum::pg_catalog.int4 order by k.place)
          from pg_catalog.unnest(%(key)s::pg_catalog.text[]) with ordinality as k (name, place)
          join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attname = k.name)
  from (select pg_catalog.to_regclass(%(relation)s)::pg_catalog.oid as oid) as r

-- name: whereabouts
-- The tables a row may be in now, each with the names of its key's columns: the same table, or another of its name.
select pg_catalog.format('%%I.%%I', n.nspname, c.relname), t.key
  from (select %(oid)s::pg_catalog.int8::pg_catalog.oid as oid,
               (select pg_catalog.array_agg(a.attname::pg_catalog.text order by k.place)
                  from pg_catalog.unnest(%(numbers)s::pg_catalog.int4[]) with ordinality as k (number, place)
                  join pg_catalog.pg_attribute a on a.attrelid = %(oid)s and a.attnum = k.number and not a.attisdropped) as key
        union
        select pg_catalog.to_regclass(%(relation)s)::pg_catalog.oid,
               (select pg_catalog.array_agg(a.attname::pg_catalog.text order by k.place)
                  from pg_catalog.unnest(%(key)s::pg_catalog.text[]) with ordinality as k (name, place)
                  join pg_catalog.pg_attribute a on a.attrelid = pg_catalog.to_regclass(%(relation)s) and a.attname = k.name)) as t
  join pg_catalog.pg_class c on c.oid = t.oid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where pg_catalog.cardinality(t.key) = pg_catalog.cardinality(%(key)s::pg_catalog.text[])

-- name: quietly
-- For this transaction no trigger fires and no foreign key cascades: a row more or less in one table, nothing else.
set local session_replication_role = replica
