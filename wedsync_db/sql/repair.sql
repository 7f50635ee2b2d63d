-- name: last_step
-- How far the journal had come; in a copy of the database: when the backup was made.
select number, deployment_id from wedsync_db.step order by number desc limit 1

-- name: steps_since
-- The whole migrations that were applied or reverted after it, in order.
select deployment_id, migration, direction, statement, status, sql_sha256, at
from wedsync_db.step
where number > %s and statement is null and status = 'done'
order by number

-- name: has_step
-- The journal of a copy begins as its original's does.
select exists (select from wedsync_db.step where number = %s and deployment_id = %s)

-- name: key
-- The columns of the primary key, in its order; none where there is no key.
select a.attname::text
from pg_catalog.pg_index as i
cross join pg_catalog.unnest(i.indkey) with ordinality as k (number, place)
join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.number
where i.indrelid = %s::pg_catalog.text::pg_catalog.regclass and i.indisprimary
order by k.place

-- name: columns
-- What a value has to be like; and which the database keeps by itself: generated ones, and updated_at under a trigger
-- before UPDATE, which says when the repair came by and can never be put back.
select a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',
    a.attname = 'updated_at' and exists (
        select from pg_catalog.pg_trigger as t
        -- 1: for each row, 2: before, 16: update
        where t.tgrelid = a.attrelid and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 19 = 19)
from pg_catalog.pg_attribute as a
where a.attrelid = %s::pg_catalog.text::pg_catalog.regclass and a.attnum > 0 and not a.attisdropped
order by a.attname collate "C"

-- name: references
-- Which table refers to which; a partitioned one stands for its partitions.
select pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.format('%I.%I', rn.nspname, r.relname)
from pg_catalog.pg_constraint as f
join pg_catalog.pg_class as c on c.oid = f.conrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join lateral pg_catalog.pg_partition_tree(f.confrelid) as p on true
join pg_catalog.pg_class as r on r.oid = coalesce(p.relid::pg_catalog.oid, f.confrelid)
join pg_catalog.pg_namespace as rn on rn.oid = r.relnamespace
where f.contype = 'f'

-- name: values_in
-- How much a column held that has nowhere to go back to.
select pg_catalog.count({column}) from only {relation}

-- name: rows
-- Key and values as text. By the bytes of the key: the one order that does not depend on a server's locale.
select array[{key}]::pg_catalog.text[], array[{values}]::pg_catalog.text[]
from only {relation}
order by {order}

-- name: look
-- The same of some rows, by their keys; typed, so that the key's index serves.
select w.place, array[{values}]::pg_catalog.text[]
from rows from ({keys}) with ordinality as w ({names}, place)
join only {relation} as t on {same}

-- name: insert
-- A row comes back; whoever took its key meanwhile keeps it.
insert into {relation} ({columns}) overriding system value values ({values}) on conflict ({key}) do nothing

-- name: update
-- Values come back where still stands what the migration made of them: what was written a moment ago is not overwritten.
update only {relation} set {assignments} where {same} and {unchanged}

-- name: has_log
-- Whether there is a log of deletions that this role may read.
select coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('audit.log'), 'select'), false)

-- name: deleted_meanwhile
-- Rows that somebody deleted while no deployment ran, as the log has it: no migration took those.
select distinct l.row_key::text
from audit.log as l
where l.relation = %s and l.operation = 'DELETE' and l.row_key = any(%s::pg_catalog.uuid[])
  and not exists (
    select
    from rows from (pg_catalog.unnest(%s::pg_catalog.timestamptz[]), pg_catalog.unnest(%s::pg_catalog.timestamptz[]))
        as d (started, finished)
    where l.happened_at between d.started and d.finished)

-- name: sequences
-- Where the numbers of a table's columns come from.
select a.attname::text, pg_catalog.pg_get_serial_sequence(%(relation)s, a.attname)
from pg_catalog.pg_attribute as a
where a.attrelid = %(relation)s::pg_catalog.text::pg_catalog.regclass and a.attnum > 0 and not a.attisdropped
  and pg_catalog.pg_get_serial_sequence(%(relation)s, a.attname) is not null

-- name: advance
-- A sequence that began again must not hand out the number of a row that came back.
select pg_catalog.setval(%(sequence)s::pg_catalog.text::pg_catalog.regclass, m.highest)
from (select pg_catalog.max({column})::pg_catalog.int8 as highest from only {relation}) as m
where m.highest > coalesce(pg_catalog.pg_sequence_last_value(%(sequence)s::pg_catalog.text::pg_catalog.regclass), 0)
