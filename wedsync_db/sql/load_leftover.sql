-- name: mark
-- What is said about a database of this name, if there is one, and its limit of connections: the one is there from when it
-- was made, the other a moment later.
select pg_catalog.shobj_description(d.oid, 'pg_database'), d.datconnlimit
from pg_catalog.pg_database as d
where d.datname = %(name)s
