"""What is measured of a server: by whom, under whose locks, and what may be subtracted."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import sql

from tests.support.majors import every_major
from wedsync_db.migrate.ledger import install
from wedsync_db.monitor import collect as collecting
from wedsync_db.monitor.collect import collect, measured
from wedsync_db.monitor.metrics import Metric, deltas, rates
from wedsync_db.postgres.session import session

NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)
NEVER_HERE = {  # nothing is archived or deployed, no replica, and track_io_timing is off
    "block_read_time", "block_write_time", "replica_lag", "receiver_heard_timestamp", "last_archived_timestamp",
    "last_archive_failure_timestamp", "deployment_timestamp",
}  # fmt: skip


def at(minutes=0):
    return lambda: NOW + timedelta(minutes=minutes)


def named(sample):
    return {(metric.name, *(value for _, value in metric.labels)): value for metric, value in sample.values.items()}


def of_tables(sample, name):
    return {key[1]: value for key, value in named(sample).items() if key[0] == name}


@contextmanager
def stranger(address, db):
    """Somebody who may log in, and nothing else."""
    role = f"stranger_{address.dbname}"
    db.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    try:
        yield role
    finally:
        db.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
        db.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


@every_major
def test_a_fast_sample_knows_all_there_is_to_know(address, db, major):
    sample = collect(address, "fast", clock=at())
    assert sample.problems == ()
    assert (sample.at, sample.tier, len(sample.epoch)) == (NOW, "fast", 32)
    unknown = {metric.name for metric, value in sample.values.items() if value is None}
    assert unknown - {"checksum_failures"} == NEVER_HERE
    known = named(sample)
    assert known["clients", "active"] >= 1
    assert known["clients", "hidden"] == 0
    assert 0 < sample.values[Metric("connections_used", "gauge", "ratio")] < 1
    db.execute("create table t as select generate_series(1, 100) as id")
    db.execute("select pg_stat_force_next_flush()")
    db.execute("select 1")
    later = collect(address, "fast", clock=at(1))
    grown = {metric.name: value for metric, value in deltas(sample, later).items()}
    assert grown["commits"] > 0
    assert grown["wal"] > 0


@every_major
def test_who_may_see_nothing_says_so_and_never_zero(address, db):
    db.execute("create table t (id serial); insert into t select generate_series(1, 50000)")
    db.execute("vacuum analyze t")
    db.execute("revoke select on pg_stat_wal, pg_stat_archiver from public")
    with stranger(address, db) as role, session(address, "test") as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        samples = {tier: measured(connection, tier, clock=at()) for tier in ("fast", "tables", "sizes", "nightly")}
    known = named(samples["fast"])
    assert known["clients", "hidden"] > 0
    assert known["clients", "active"] is None
    assert known["oldest_query",] is None
    assert known["commits",] > 0
    assert known["wal",] is known["archived",] is None
    assert "wal: this role may not ask" in samples["fast"].problems
    assert any(problem.startswith("epoch: ") for problem in samples["fast"].problems)
    assert deltas(samples["fast"], samples["fast"]) == {}
    nightly = named(samples["nightly"])
    assert nightly["key_used", "public.t.id"] is None
    assert nightly["table_bloat", "public.t"] is None, "the statistics of its columns are not shown"


@every_major
def test_a_held_lock_keeps_nothing_waiting_and_gives_an_estimate(address, db):
    db.execute("create table held (id int primary key); create table free (id int primary key)")
    db.execute("insert into held select generate_series(1, 1000); insert into free select * from held")
    db.execute("analyze")
    db.execute("select pg_stat_force_next_flush()")
    with session(address, "holds") as holder:
        holder.execute("begin; lock table held in access exclusive mode")
        sizes = collect(address, "sizes", clock=at())
        tables = collect(address, "tables", clock=at())
        fast = collect(address, "fast", clock=at())
        nightly = collect(address, "nightly", clock=at())
    assert sizes.problems == tables.problems == fast.problems == nightly.problems == ()
    exact, estimated = of_tables(sizes, "table_size"), of_tables(sizes, "table_size_estimate")
    assert exact == {"public.held": None, "public.free": exact["public.free"]}
    assert exact["public.free"] >= 3 * 8192
    assert estimated["public.held"] >= 3 * 8192
    assert estimated["public.free"] is None
    assert named(sizes)["database_size",] > exact["public.free"]
    assert of_tables(tables, "table_rows_inserted") == {"public.held": 1000, "public.free": 1000}


def test_who_comes_between_the_look_at_the_locks_and_the_size_makes_it_an_estimate(address, db, monkeypatch):
    """The planned statement does not know of a lock that is taken while it runs: an index' here, by its own name."""
    db.execute("create table held (id int primary key)")
    real = collecting.query

    def blind(file, name):
        text = real(file, name)
        return text.replace("where l.locktype = 'relation'", "where false") if name == "table_sizes" else text

    monkeypatch.setattr(collecting, "query", blind)
    with session(address, "holds") as holder:
        holder.execute("begin; lock table held in access exclusive mode")
        sizes = collect(address, "sizes", clock=at())
    assert sizes.problems == ()
    assert of_tables(sizes, "table_size") == {"public.held": None}
    assert of_tables(sizes, "table_size_estimate")["public.held"] is not None


@every_major
def test_only_tables_that_moved(address, db):
    db.execute("create table moves (id int); create table stays (id int); create table idle (id int)")
    db.execute("insert into moves values (1); insert into stays values (1); select pg_stat_force_next_flush()")
    first = collect(address, "tables", clock=at())
    assert of_tables(first, "table_rows_inserted") == {"public.moves": 1, "public.stays": 1}
    db.execute("insert into moves values (2), (3); select pg_stat_force_next_flush()")
    second = collect(address, "tables", clock=at(5), before=first.memory)
    assert of_tables(second, "table_rows_inserted") == {"public.moves": 3}
    db.execute("vacuum stays")
    third = collect(address, "tables", clock=at(10), before=second.memory)
    assert of_tables(third, "table_vacuums") == {"public.stays": 1}
    inserted = Metric("table_rows_inserted", "counter", "rows", (("table", "public.moves"),))
    assert rates(first, second)[inserted] == pytest.approx(2 / 300)


def test_what_is_left_over_comes_the_next_time(address, db, monkeypatch):
    real = collecting.query
    monkeypatch.setattr(collecting, "query", lambda file, name: real(file, name).replace("limit 500", "limit 1"))
    db.execute("create table much (id int); create table little (id int)")
    db.execute(
        "insert into much values (1), (2), (3); insert into little values (1); select pg_stat_force_next_flush()"
    )
    memory = ""
    for expected in ({"public.much": 3}, {"public.little": 1}, {}):
        found = collect(address, "tables", clock=at(), before=memory)
        memory = found.memory
        assert of_tables(found, "table_rows_inserted") == expected


@every_major
@pytest.mark.parametrize("reset", ["pg_stat_reset()", "pg_stat_reset_shared('wal')"])
def test_counters_that_began_anew_give_no_deltas(address, db, reset):
    first = collect(address, "fast", clock=at())
    db.execute(f"select {reset}")
    second = collect(address, "fast", clock=at(1))
    assert first.epoch != second.epoch
    assert deltas(first, second) == {}


@every_major
def test_partitions_count_as_one_table_with_what_they_did_together(address, db):
    db.execute("create schema parts; create table whole (id int primary key, at int) partition by range (id)")
    db.execute("create table part_1 partition of whole for values from (0) to (1000)")
    db.execute("create table parts.part_2 partition of whole for values from (1000) to (9000) partition by range (id)")
    db.execute("create table parts.part_2_1 partition of parts.part_2 for values from (1000) to (9000)")
    db.execute("insert into whole select n, n from generate_series(1, 3000) n; analyze whole")
    db.execute("vacuum whole")
    db.execute("select pg_stat_force_next_flush()")
    tables = collect(address, "tables", clock=at())
    assert of_tables(tables, "table_rows_inserted") == {"public.whole": 3000}
    assert of_tables(tables, "table_vacuums") == {"public.whole": 2}
    assert of_tables(collect(address, "tables", clock=at(), before=tables.memory), "table_rows_inserted") == {}
    exact = "select sum(pg_total_relation_size(relid)) from pg_partition_tree('whole')"
    sizes = collect(address, "sizes", clock=at())
    assert of_tables(sizes, "table_size") == {"public.whole": float(db.execute(exact).fetchone()[0])}
    with session(address, "holds") as holder:
        holder.execute("begin; lock table parts.part_2_1 in access exclusive mode")
        held = collect(address, "sizes", clock=at())
    assert held.problems == ()
    assert of_tables(held, "table_size") == {"public.whole": None}
    assert of_tables(held, "table_size_estimate")["public.whole"] == pytest.approx(
        of_tables(sizes, "table_size")["public.whole"], rel=0.3
    )


@every_major
def test_the_nightly_tier_says_what_a_rewrite_would_give_back(address, db):
    db.execute("create table full_one (id serial primary key, a text, b int) with (autovacuum_enabled = off)")
    db.execute("create table half (id int, a text, at timestamptz, n numeric) with (autovacuum_enabled = off)")
    db.execute("insert into full_one (a, b) select md5(n::text), n from generate_series(1, 20000) n")
    db.execute("insert into half select n, repeat('x', n %% 90), now(), n from generate_series(1, 30000) n", [])
    db.execute("delete from half where id %% 2 = 0", [])
    db.execute(
        "create table padded (f bool, n bigint, g bool, at timestamptz, t text, u timestamptz, v timestamptz,"
        " s smallint)"
    )
    db.execute("alter table padded set (autovacuum_enabled = off, fillfactor = 80)")
    db.execute(
        "insert into padded select true, n, false, now(), repeat('y', n %% 17), now(), null, 1"
        " from generate_series(1, 30000) n",
        [],
    )
    db.execute("delete from padded where n %% 3 = 0", [])
    db.execute("vacuum analyze padded")
    db.execute("create table never (a text) with (autovacuum_enabled = off)")
    db.execute("insert into never select repeat('x', 500) from generate_series(1, 5000)")
    db.execute("vacuum analyze full_one; ")
    db.execute("vacuum analyze half")
    db.execute("vacuum never")
    found = collect(address, "nightly", clock=at())
    assert found.problems == ()
    ratios = {
        m.labels[0][1]: value for m, value in found.values.items() if m.name == "table_bloat" and m.unit == "ratio"
    }
    pages = {
        name: db.execute("select pg_relation_size(%s)", [name]).fetchone()[0] for name in ("full_one", "half", "padded")
    }
    for name, before in pages.items():
        db.execute(f"vacuum full {name}")
        rebuilt = db.execute("select pg_relation_size(%s)", [name]).fetchone()[0]
        # how a text that is always as wide is padded is not known
        assert ratios[f"public.{name}"] == pytest.approx(1 - rebuilt / before, abs=0.025), name
    assert ratios["public.never"] is None
    assert named(found)["key_used", "public.full_one.id"] == pytest.approx(20_000 / 2**31, rel=0.01)


@every_major
def test_the_nightly_tier_counts_the_bytes_of_indexes_for_nothing(address, db):
    db.execute("create table t (id int primary key, a int, b int)")
    db.execute("insert into t select n, n, n from generate_series(1, 20000) n")
    db.execute("create index once on t (a); create index twice on t (a); create index other on t (b)")
    db.execute("vacuum analyze t")
    size = db.execute("select pg_relation_size('once')").fetchone()[0]
    found = named(collect(address, "nightly", clock=at()))
    assert found["duplicate_indexes",] == size
    assert found["unused_indexes",] is None  # not watched for a month: nobody knows


@every_major
def test_when_the_newest_deployment_ended(address, db):
    assert named(collect(address, "fast", clock=at()))["deployment_timestamp",] is None
    install(db)
    db.execute(
        "insert into wedsync_db.deployment (id, status, plan_hash, migrations, atomic, fingerprint_before, runner,"
        " proofs, system_identifier, database_oid, timeline, finished_at)"
        " select v.id, 'done', '', '{}', 'deployment', '', '', '[]', 'x', (d.oid::bigint + v.other)::oid, 1, v.at"
        " from pg_database d, (values ('a', 0, timestamptz '2026-06-01Z'), ('b', 0, '2026-06-02Z'),"
        " ('copied', 1, '2026-06-03Z')) as v (id, other, at) where d.datname = current_database()"
    )
    sample = collect(address, "fast", clock=at())
    assert named(sample)["deployment_timestamp",] == datetime(2026, 6, 2, tzinfo=UTC).timestamp()
    assert sample.problems == ()
