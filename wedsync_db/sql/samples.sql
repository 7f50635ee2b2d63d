-- Metrics in the history store: written each minute, read as wide tables.

-- name: set_of
-- The id of a set, made where it is missing. Two collectors may meet here.
insert into history.metric_set (environment, tier, subject, names, kinds, units, labels)
values (%(environment)s, %(tier)s, %(subject)s, %(names)s, %(kinds)s, %(units)s, %(labels)s)
on conflict (environment, tier, subject, names, kinds, units, labels) do update set subject = excluded.subject
returning id

-- name: known_sets
-- Of these tables of one environment and tier, to save the way to each.
select s.id, s.subject, s.names, s.kinds, s.units, s.labels from history.metric_set as s
where s.environment = %(environment)s and s.tier = %(tier)s and s.subject = any (%(subjects)s::text[])

-- name: put
-- A second sample of the same time is the same one, told twice.
insert into history.metric_sample (set_id, at, epoch, "values", problems)
values (%(set_id)s, %(at)s, %(epoch)s, %(values)s, %(problems)s)
on conflict do nothing

-- name: remember
-- For the next look at the tier.
insert into history.tier_memory (environment, tier, at, memory) values (%(environment)s, %(tier)s, %(at)s, %(memory)s)
on conflict (environment, tier) do update set at = excluded.at, memory = excluded.memory

-- name: memory
-- What the newest look said.
select m.memory from history.tier_memory as m where m.environment = %(environment)s and m.tier = %(tier)s

-- name: last_at
-- When each tier was last measured.
select s.tier, pg_catalog.max(n.at) from history.metric_set as s
cross join lateral (select m.at from history.metric_sample as m where m.set_id = s.id and m.at > %(since)s
                    order by m.at desc limit 1) as n
where s.environment = %(environment)s group by s.tier

-- name: newest
-- The newest sample of each set.
select s.names, s.kinds, s.units, s.labels, n.at, n.epoch, n."values", n.problems from history.metric_set as s
cross join lateral (select m.* from history.metric_sample as m where m.set_id = s.id and m.at > %(since)s
                    order by m.at desc limit 1) as n
where s.environment = %(environment)s and s.tier = %(tier)s
order by n.at

-- name: raw
-- Every sample between two times.
select s.id, s.names, s.kinds, s.units, s.labels, m.at, m."values" from history.metric_set as s
join history.metric_sample as m on m.set_id = s.id
where s.environment = %(environment)s and s.tier = %(tier)s and m.at >= %(since)s and m.at < %(until)s
order by m.at

-- name: rolled
-- The same by hour or day: minimum, average, maximum or last.
select s.id, s.names, s.kinds, s.units, s.labels, r.at,
       case %(statistic)s when 'minimum' then r.minimum when 'average' then r.average when 'maximum' then r.maximum
                          else r.last end
from history.metric_set as s join history.metric_rollup as r on r.set_id = s.id
where s.environment = %(environment)s and s.tier = %(tier)s and r.step = %(step)s and r.at >= %(since)s and r.at < %(until)s
order by r.at

-- name: partitions
-- Those that are there, by the day in their names.
select c.relname from pg_catalog.pg_inherits as i join pg_catalog.pg_class as c on c.oid = i.inhrelid
where i.inhparent = 'history.metric_sample'::pg_catalog.regclass

-- name: alone
-- Partitions are made and dropped by one process at a time.
select pg_catalog.pg_advisory_xact_lock(1464157267, 4)

-- name: last_rolled
-- From here on it is done again: the bucket may have had more to come.
select coalesce((select pg_catalog.max(r.at) from history.metric_rollup as r where r.step = %(step)s),
                (select pg_catalog.min(m.at) from history.metric_sample as m))

-- name: roll_up
-- Each value apart, and together again in its place. An unknown value is no part of any of the four.
insert into history.metric_rollup (step, set_id, at, samples, minimum, average, maximum, last)
select %(step)s, v.set_id, v.bucket, pg_catalog.max(v.samples), pg_catalog.array_agg(v.minimum order by v.place),
       pg_catalog.array_agg(v.average order by v.place), pg_catalog.array_agg(v.maximum order by v.place),
       pg_catalog.array_agg(v.last order by v.place)
from (
  select m.set_id, b.bucket, u.place, pg_catalog.count(*)::integer as samples, pg_catalog.min(u.value) as minimum,
         pg_catalog.avg(u.value) as average, pg_catalog.max(u.value) as maximum,
         (pg_catalog.array_agg(u.value order by m.at desc) filter (where u.value is not null))[1] as last
  from history.metric_sample as m
  cross join lateral (select pg_catalog.date_trunc(%(step)s, m.at, 'UTC') as bucket) as b
  cross join lateral pg_catalog.unnest(m."values") with ordinality as u (value, place)
  where m.at >= pg_catalog.date_trunc(%(step)s, %(since)s::timestamptz, 'UTC')
  group by m.set_id, b.bucket, u.place
) as v
group by v.set_id, v.bucket
on conflict (step, set_id, at) do update set samples = excluded.samples, minimum = excluded.minimum,
  average = excluded.average, maximum = excluded.maximum, last = excluded.last

-- name: forget
-- What is older than it is kept.
delete from history.metric_rollup as r where r.step = %(step)s and r.at < %(before)s
