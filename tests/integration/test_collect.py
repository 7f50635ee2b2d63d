"""What is measured of a server: by whom, under whose locks, and what may be subtracted."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import sql

from tests.support.majors import every_major
from wedsync_db.monitor import collect as collecting
from wedsync_db.monitor.collect import collect, measured
from wedsync_db.monitor.metrics import Metric, deltas, rates
from wedsync_db.postgres.session import session

NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)
NEVER_HERE = {  # nothing is archived, no replica, and track_io_timing is off
    "block_read_time", "block_write_time", "replica_lag", "receiver_heard_timestamp", "last_archived_timestamp",
    "last_archive_failure_timestamp",
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
    db.execute("create table t (id int)")
    db.execute("revoke select on pg_stat_wal, pg_stat_archiver from public")
    with stranger(address, db) as role, session(address, "test") as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        samples = {tier: measured(connection, tier, clock=at()) for tier in ("fast", "tables", "sizes")}
    known = named(samples["fast"])
    assert known["clients", "hidden"] > 0
    assert known["clients", "active"] is None
    assert known["oldest_query",] is None
    assert known["commits",] > 0
    assert known["wal",] is known["archived",] is None
    assert "wal: this role may not ask" in samples["fast"].problems
    assert any(problem.startswith("epoch: ") for problem in samples["fast"].problems)
    assert deltas(samples["fast"], samples["fast"]) == {}


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
    assert sizes.problems == tables.problems == fast.problems == ()
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
    second = collect(address, "tables", clock=at(5), before=first.values)
    assert of_tables(second, "table_rows_inserted") == {"public.moves": 3}
    db.execute("vacuum stays")
    third = collect(address, "tables", clock=at(10), before={**first.values, **second.values})
    assert of_tables(third, "table_vacuums") == {"public.stays": 1}
    inserted = Metric("table_rows_inserted", "counter", "rows", (("table", "public.moves"),))
    assert rates(first, second)[inserted] == pytest.approx(2 / 300)


@every_major
@pytest.mark.parametrize("reset", ["pg_stat_reset()", "pg_stat_reset_shared('wal')"])
def test_counters_that_began_anew_give_no_deltas(address, db, reset):
    first = collect(address, "fast", clock=at())
    db.execute(f"select {reset}")
    second = collect(address, "fast", clock=at(1))
    assert first.epoch != second.epoch
    assert deltas(first, second) == {}
