-- What docs/schema.md is written from. Each query stands below `scope` of schema_checks.sql. Partitions are not told one by
-- one: which there are depends on the day.

-- name: tables
-- Tables and views with their comments; what a table is partitioned by.
select r.name, coalesce(pg_catalog.obj_description(r.oid, 'pg_class'), ''), r.relkind = 'v',
       coalesce(pg_catalog.pg_get_partkeydef(r.oid), ''), r.relrowsecurity
  from relation as r
 where r.relkind in ('r', 'p', 'v') and not r.relispartition
 order by r.name collate "C"

-- name: columns
-- In their own order.
select r.name, c.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '',
       coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), ''),
       coalesce(pg_catalog.col_description(r.oid, c.attnum), '')
  from col as c
  join relation as r on r.oid = c.attrelid
  join pg_catalog.pg_attribute as a on a.attrelid = c.attrelid and a.attnum = c.attnum
  left join pg_catalog.pg_attrdef as d on d.adrelid = c.attrelid and d.adnum = c.attnum
 order by r.name collate "C", c.attnum

-- name: constraints
-- Keys, references, checks and exclusions: which columns, of which other table, and as PostgreSQL writes them.
select r.name, k.contype::pg_catalog.text,
       coalesce((select pg_catalog.array_agg(c.attname::text order by u.place)
                   from pg_catalog.unnest(k.conkey) with ordinality as u (attnum, place)
                   join col as c on c.attrelid = k.conrelid and c.attnum = u.attnum), '{}'),
       coalesce(p.name, ''),
       coalesce((select pg_catalog.array_agg(a.attname::text order by u.place)
                   from pg_catalog.unnest(k.confkey) with ordinality as u (attnum, place)
                   join pg_catalog.pg_attribute as a on a.attrelid = k.confrelid and a.attnum = u.attnum), '{}'),
       case when k.contype = 'c' then pg_catalog.pg_get_expr(k.conbin, k.conrelid)
            else pg_catalog.pg_get_constraintdef(k.oid) end
  from pg_catalog.pg_constraint as k
  join relation as r on r.oid = k.conrelid
  left join relation as p on p.oid = k.confrelid
 where k.contype in ('p', 'u', 'f', 'c', 'x')
 order by r.name collate "C", k.conname collate "C"

-- name: indexes
-- Those that are no constraint's.
select r.name, i.indisunique,
       pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^.* USING (btree )?', '')
  from pg_catalog.pg_index as i
  join relation as r on r.oid = i.indrelid
  join pg_catalog.pg_class as x on x.oid = i.indexrelid
 where not exists (select from pg_catalog.pg_constraint as k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
 order by r.name collate "C", x.relname collate "C"

-- name: policies
-- Who is let at which rows, by which command.
select r.name, case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                             else 'all' end,
       coalesce((select pg_catalog.array_agg(coalesce(o.rolname, 'PUBLIC')::text order by coalesce(o.rolname, 'PUBLIC')::text collate "C")
                   from pg_catalog.unnest(p.polroles) as u (oid)
                   left join pg_catalog.pg_roles as o on o.oid = u.oid), '{}'),
       coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid), ''),
       coalesce(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), '')
  from pg_catalog.pg_policy as p
  join relation as r on r.oid = p.polrelid
 order by r.name collate "C", p.polcmd, p.polname collate "C"

-- name: grants
-- What the API's roles may do at all, with the columns where not all of them.
select r.name, g.role, pg_catalog.lower(g.privilege_type),
       coalesce(pg_catalog.array_agg(c.attname::text order by c.attnum) filter (where c.attnum is not null), '{}')
  from granted as g
  join relation as r on r.oid = g.relid
  left join col as c on c.attrelid = g.relid and c.attnum = g.attnum
 group by r.name, g.role, g.privilege_type
 order by r.name collate "C", g.role, g.privilege_type

-- name: triggers
-- What happens by itself when a row changes.
select r.name, f.name,
       case when t.tgtype & 2 = 2 then 'before' when t.tgtype & 64 = 64 then 'instead of' else 'after' end,
       (select pg_catalog.array_agg(e.name order by e.bit)
          from (values ('insert', 4), ('delete', 8), ('update', 16), ('truncate', 32)) as e (name, bit)
         where t.tgtype & e.bit = e.bit),
       coalesce((select pg_catalog.array_agg(c.attname::text order by c.attnum)
                   from col as c where c.attrelid = t.tgrelid and c.attnum = any (t.tgattr)), '{}')
  from pg_catalog.pg_trigger as t
  join relation as r on r.oid = t.tgrelid
  join routine as f on f.oid = t.tgfoid
 where not t.tgisinternal and t.tgparentid = 0
 order by r.name collate "C", t.tgname collate "C"

-- name: functions
-- What each is for, whether it acts as its owner, and who else may call it.
select f.name, coalesce(pg_catalog.obj_description(f.oid, 'pg_proc'), ''), f.prosecdef,
       coalesce((select pg_catalog.array_agg(coalesce(r.rolname, 'PUBLIC')::text order by coalesce(r.rolname, 'PUBLIC')::text collate "C")
                   from pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) as a
                   left join pg_catalog.pg_roles as r on r.oid = a.grantee
                  where a.grantee <> f.proowner), '{}')
  from routine as f
 order by f.name collate "C"
