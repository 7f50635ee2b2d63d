-- name: lag
-- By how many seconds the standby that is furthest behind repeats what was written; null where there is none, where it has
-- nothing to repeat, or where this role is not told (that takes pg_monitor).
select pg_catalog.max(extract(epoch from r.replay_lag))::double precision
from pg_catalog.pg_stat_replication as r

-- name: hidden_standbys
-- How many standbys there are of which this role is shown nothing.
select pg_catalog.count(*) from pg_catalog.pg_stat_replication as r where r.state is null
