"""Statements by pg_stat_statements: counted without texts, each text kept once, said where there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.majors import every_major
from wedsync_db.history import look as looking
from wedsync_db.history import statements as kept
from wedsync_db.history.store import open_history
from wedsync_db.load.sampler import sampling
from wedsync_db.monitor.collect import collect, measured
from wedsync_db.monitor.statements import OTHERS, Statements, read_statements, texts
from wedsync_db.postgres.cluster import binaries_of, scratch
from wedsync_db.postgres.session import session

NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)
SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "100", "compute_query_id": "on",
}  # fmt: skip
with_contrib = pytest.mark.skipif(not binaries_of(15), reason="PostgreSQL 15 with contrib is not here")


@pytest.fixture(scope="module")
def server():
    """Debian's 15: the embedded servers come without contrib."""
    with scratch(15, settings=SETTINGS) as cluster:
        with session(cluster.address(), "test") as connection:
            connection.execute("create schema extensions; create extension pg_stat_statements schema extensions")
            connection.execute("create database store")
            connection.execute("create role nobody login; create role looks login; grant pg_read_all_stats to looks")
        yield cluster


@pytest.fixture
def target(server):
    with session(server.address(), "test") as connection:
        connection.execute("select extensions.pg_stat_statements_reset()")
        yield connection


@pytest.fixture
def store(server):
    with open_history(server.address().with_database("store")) as connection:
        yield connection
        connection.execute("truncate history.statement, history.statement_sample, history.statement_counter")


def look(connection, minutes=0):
    return read_statements(connection, NOW + timedelta(minutes=minutes))


@pytest.mark.majors
@with_contrib
def test_each_statement_is_kept_with_what_it_cost_and_its_text_once(server, target, store):
    asked = []

    def ask(queryids):
        asked.append(set(queryids))
        return texts(target, queryids)

    target.execute("create table t (id int)")
    kept.keep(store, "case", look(target), ask)
    assert kept.top(store, "case", NOW, NOW + timedelta(days=1)) == (), "the first look says from where on to count"
    for number in range(5):
        target.execute(f"insert into t values ({number})")
    series = collect(server.address(), "tables", clock=lambda: NOW)
    assert series.problems == ()
    assert {m.name: v for m, v in series.values.items() if m.name == "statement_calls"}["statement_calls"] >= 6
    target.execute("alter role nobody password 'secret7'")
    target.execute("select /* it's */ pg_sleep(0.05), 'secret8'")
    kept.keep(store, "case", look(target, 5), ask)
    found = kept.top(store, "case", NOW, NOW + timedelta(days=1), most=50)
    by_text = {cost.text: cost for cost in found}
    assert "pg_sleep" in found[0].text
    assert (by_text["insert into t values ($1)"].calls, by_text["insert into t values ($1)"].rows) == (5, 5)
    assert by_text["alter role nobody password ***"].calls == 1
    assert sum(cost.share for cost in found) == pytest.approx(1)
    assert "secret" not in str(store.execute("select * from history.statement").fetchall())
    target.execute("insert into t values (9)")
    kept.keep(store, "case", look(target, 10), ask)
    inserts = next(cost.queryid for cost in found if cost.text == "insert into t values ($1)")
    assert not any(inserts in ids for ids in asked[1:]), "a text is fetched once"
    again = kept.top(store, "case", NOW + timedelta(minutes=6), NOW + timedelta(days=1), most=50)
    assert {cost.queryid: cost.calls for cost in again}[inserts] == 1
    assert kept.top(store, "case", NOW, NOW + timedelta(days=1), most=1)[1].queryid == OTHERS
    kept.forget(store, NOW + timedelta(days=1))
    assert store.execute("select count(*) from history.statement").fetchone() == (0,)


@pytest.mark.majors
@with_contrib
def test_every_look_at_the_tables_keeps_them(server, target, store):
    details = []
    for minute in (0, 5):
        target.execute("select 1 as looked")
        looking._keep_statements(server.address(), store, "case", NOW + timedelta(minutes=minute), details)
    assert details == []
    found = {cost.text: cost.calls for cost in kept.top(store, "case", NOW, NOW + timedelta(days=1), most=99)}
    assert found["select $1 as looked"] == 1
    without = server.address().with_database("store")
    looking._keep_statements(without, store, "case", NOW, details)
    assert details == ["statements: extension pg_stat_statements is not in this database"]


@pytest.mark.majors
@with_contrib
def test_a_reset_begins_anew_and_evictions_are_said(target, store):
    kept.keep(store, "case", look(target), lambda _: {})
    target.execute("select 1 as one")
    target.execute("select extensions.pg_stat_statements_reset()")
    kept.keep(store, "case", look(target, 5), lambda _: {})
    assert kept.top(store, "case", NOW, NOW + timedelta(days=1)) == ()
    for number in range(150):
        target.execute(f"select {', '.join(['1'] * (number + 1))}")
    kept.keep(store, "case", look(target, 10), lambda _: {})
    ((evicted, listed),) = store.execute(
        "select evicted, cardinality(queryids) from history.statement_sample"
    ).fetchall()
    assert evicted > 0
    assert listed <= 101


@pytest.mark.majors
@with_contrib
def test_who_may_not_see_them_says_so(server, target):
    target.execute("select 1 as seen")
    address = server.address()
    for role, schema, problem in (
        ("nobody", False, "this role may not read pg_stat_statements"),
        ("nobody", True, "some are not shown to this role: grant pg_read_all_stats"),
        ("looks", True, None),
    ):
        target.execute(
            f"{'grant' if schema else 'revoke'} usage on schema extensions {'to' if schema else 'from'} public"
        )
        with session(address, "test") as connection:
            connection.execute(f"set role {role}")
            found = look(connection)
            sample = measured(connection, "tables", clock=lambda: NOW)
        assert set(found.problems) <= set(sample.problems)
        assert found.problems == ((f"statements: {problem}",) if problem else ())
        assert (found.counted is None) == (not schema)
    target.execute("create database without")
    with session(address.with_database("without"), "test") as connection:
        assert look(connection).problems == ("statements: extension pg_stat_statements is not in this database",)
        connection.execute("create extension pg_stat_statements version '1.8'")
        assert look(connection).problems == (
            "statements: pg_stat_statements 1.8 is too old: alter extension pg_stat_statements update",
        )
    target.execute("drop database without")


@pytest.mark.majors
@with_contrib
@pytest.mark.parametrize("user", [None, "nobody"])
def test_a_load_test_takes_them_from_beside_its_own_database(server, target, user):
    """The extension is in the target's; those of the load test's are counted there as well."""
    target.execute("create database beside")
    target.execute("grant usage on schema extensions to public")
    target.execute("alter role nobody password 'not-a-secret-4e02'")
    through = replace(server.address(), user=user, password="not-a-secret-4e02") if user else server.address()
    try:
        with (
            session(server.address("beside"), "test") as connection,
            sampling(server.address("beside"), through=through) as sampler,
        ):
            for number in range(20):
                connection.execute(f"select pg_sleep(0.02), 'Ann {number}'")
            target.execute("select pg_sleep(0.1), 'not of this database'")
            seen = sampler.observed()
    finally:
        target.execute("drop database beside with (force)")
        target.execute("revoke usage on schema extensions from public")
    if user:  # is shown neither what is counted nor what runs
        assert (seen.statements, seen.statements_sampled) == ((), True)
        assert "statements: some are not shown to this role: grant pg_read_all_stats" in seen.notes
        return
    assert not seen.statements_sampled
    longest = seen.statements[0]
    assert longest.text.startswith("select pg_sleep($1)")
    assert longest.calls == 20
    assert 20 <= longest.mean_ms < 10_000
    assert 0.5 < longest.share <= 1
    assert "Ann" not in str(seen)
    assert "not of this" not in str(seen)


@every_major
def test_without_the_extension_it_says_so_and_keeps_nothing(address, db):
    found = look(db)
    problem = "statements: extension pg_stat_statements is not in this database"
    assert found == Statements(NOW, problems=(problem,), is_absent=True)
    assert collect(address, "tables", clock=lambda: NOW).problems == (), "which may be meant so"
    with open_history(address) as store:
        kept.keep(store, "case", found, lambda _: pytest.fail("nothing to ask for"))
        assert store.execute("select count(*) from history.statement_counter").fetchone() == (0,)
