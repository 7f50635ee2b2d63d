-- name: missing_tables
-- The generator fills what migrations made; it never makes a table itself.
select t.name
  from pg_catalog.unnest(%s::pg_catalog.text[]) as t (name)
 where pg_catalog.to_regclass(t.name) is null

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
-- In the order of their tables, and only what acts on our rows now: what was off stays off. The write gate holds for us,
-- too: nobody fills a platform that takes no writes.
select n.nspname, c.relname, t.tgname, t.tgenabled = 'A'
  from pg_catalog.unnest(%s::pg_catalog.text[]) with ordinality as w (name, place)
  join pg_catalog.pg_trigger as t on t.tgrelid = pg_catalog.to_regclass(w.name)
  join pg_catalog.pg_class as c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
 where not t.tgisinternal and t.tgenabled in ('O', 'A')
   and t.tgfoid is distinct from pg_catalog.to_regprocedure('ops.check_write_gate()')
 order by w.place, t.tgname

-- name: logged_tables
-- Whose new rows the audit log's triggers would have logged.
select c.relname
  from pg_catalog.pg_trigger as t
  join pg_catalog.pg_class as c on c.oid = t.tgrelid
 where t.tgfoid = pg_catalog.to_regprocedure('audit.write()') and t.tgtype & 4 <> 0
   and c.relnamespace = pg_catalog.to_regnamespace('public')
 order by c.relname

-- name: log_history
-- What the triggers would have logged, had the rows come and changed when they say: the same keys, the same masks. No
-- such transaction ever was, so its number is 0.
with known as (
  select t.id, s.place, s.at, pg_catalog.to_jsonb(t) || s.state as state
    from {table} as t
   cross join lateral (values {states}) as s (place, at, holds, state)
   where s.holds
), steps as (
  select k.*, pg_catalog.lag(k.state) over (partition by k.id order by k.place) as before
    from known as k
), mask as materialized (  -- asked once, not once for each value
  select audit.masks({relation}) as masks
)
insert into audit.log
  (id, happened_at, organization_id, wedding_id, db_role, relation, operation, row_key, changes, transaction_id)
select (pg_catalog.lpad(pg_catalog.to_hex((extract(epoch from k.at) * 1000)::pg_catalog.int8), 12, '0')
        || '7' || pg_catalog.substr(i.digits, 1, 3) || '8' || pg_catalog.substr(i.digits, 4, 15))::pg_catalog.uuid,
       k.at, (k.state ->> {organization})::pg_catalog.uuid, (k.state ->> {wedding})::pg_catalog.uuid, 'service_role',
       {relation}, case when k.before is null then 'INSERT' else 'UPDATE' end, k.id, c.changes, '0'::pg_catalog.xid8
  from steps as k
 cross join mask as m
 cross join lateral (select pg_catalog.md5({relation} || k.id || k.place) as digits) as i
 cross join lateral (
   select pg_catalog.jsonb_object_agg(v.key, coalesce(m.masks -> v.key,
            case when k.before is null then v.value
                 else pg_catalog.jsonb_build_array(k.before -> v.key, v.value) end)) as changes
     from pg_catalog.jsonb_each(k.state) as v
    where v.key <> 'updated_at' and v.value is distinct from coalesce(k.before -> v.key, 'null')
 ) as c
 where c.changes is not null
