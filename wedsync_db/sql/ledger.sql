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

-- name: trials
-- What is applied, and how the deployment that did it ended. No status where that deployment was another database's: the
-- row came here with a restored or copied one, and proves nothing about this.
select l.id, l.sha256, d.status
from wedsync_db.ledger as l
left join (
  wedsync_db.deployment as d
  join pg_catalog.pg_database as p on p.oid = d.database_oid and p.datname = pg_catalog.current_database()
  join pg_catalog.pg_control_system() as s on s.system_identifier::text = d.system_identifier
) on d.id = l.deployment_id

-- name: record
-- Rows of one transaction at once; positions go on from the highest there. The target lock and the journal row keep
-- others away, the keys catch whoever came without.
insert into wedsync_db.ledger (id, position, sha256, tree_hash, deployment_id)
select m.id, (select coalesce(pg_catalog.max(l.position), 0) from wedsync_db.ledger as l) + m.number, m.sha256, m.tree_hash, %s
from unnest(%s::text[], %s::text[], %s::text[]) with ordinality as m (id, sha256, tree_hash, number)

-- name: forget
-- A reverted migration is pending again.
delete from wedsync_db.ledger where id = %s
