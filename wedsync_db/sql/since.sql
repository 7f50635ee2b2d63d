-- name: next_transaction
-- Which transaction of the server comes next: what is visible to a snapshot is older. 64 bits, which never wrap.
select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint

-- name: rows
-- Rows now, and those of them that were inserted or updated by that transaction or later. A frozen row keeps its xmin.
select pg_catalog.count(*), pg_catalog.count(*) filter (where pg_catalog.age(t.xmin) <= pg_catalog.age(%(xid)s::text::xid))
from only {relation} as t
