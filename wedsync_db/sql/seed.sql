-- name: missing_tables
-- The generator fills what migrations made; it never makes a table itself.
select t.name
  from pg_catalog.unnest(%s::pg_catalog.text[]) as t (name)
 where pg_catalog.to_regclass('public.' || pg_catalog.quote_ident(t.name)) is null

-- name: lock_out_others
-- Two generators at once would both find the tables empty; readers are not held up.
lock table {table} in share row exclusive mode

-- name: holds_rows
-- Made-up rows never mix with somebody's own.
select exists (select from {table})

-- name: publish_forms
-- A form and its published version name each other: neither can come first with both columns set.
update public.forms as f
   set status = p.status, published_version_id = p.version
  from rows from (pg_catalog.unnest(%s::pg_catalog.uuid[]), pg_catalog.unnest(%s::pg_catalog.text[]),
                  pg_catalog.unnest(%s::pg_catalog.uuid[])) as p (id, status, version)
 where f.id = p.id

-- name: acting_triggers
-- In the order of their tables, and only what acts on our rows now: what was off stays off.
select n.nspname, c.relname, t.tgname, t.tgenabled = 'A'
  from pg_catalog.unnest(%s::pg_catalog.text[]) with ordinality as w (name, place)
  join pg_catalog.pg_trigger as t
    on t.tgrelid = pg_catalog.to_regclass('public.' || pg_catalog.quote_ident(w.name))
  join pg_catalog.pg_class as c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
 where not t.tgisinternal and t.tgenabled in ('O', 'A')
 order by w.place, t.tgname
