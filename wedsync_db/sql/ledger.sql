-- name: has_version
-- Looks the table up by name: to_regclass would fail without USAGE on the schema, this tells absent from forbidden.
select pg_catalog.count(*) > 0
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'wedsync_db' and c.relname = 'version' and c.relkind = 'r'

-- name: version
-- The newest internal script that ran here.
select coalesce(pg_catalog.max(number), 0) from wedsync_db.version

-- name: record_version
-- Written in the same transaction as the script.
insert into wedsync_db.version (number) values (%s)

-- name: entries
-- What is applied, in the order in which it was.
select id, position, sha256, tree_hash, deployment_id, applied_at, applied_by
from wedsync_db.ledger
order by position

-- name: record
-- Rows of one transaction at once; positions go on from the highest there. The target lock and the journal row keep
-- others away, the keys catch whoever came without.
insert into wedsync_db.ledger (id, position, sha256, tree_hash, deployment_id)
select m.id, (select coalesce(pg_catalog.max(l.position), 0) from wedsync_db.ledger as l) + m.number, m.sha256, m.tree_hash, %s
from unnest(%s::text[], %s::text[], %s::text[]) with ordinality as m (id, sha256, tree_hash, number)

-- name: forget
-- A reverted migration is pending again.
delete from wedsync_db.ledger where id = %s
