"""What the night looks after besides tables: leftovers, one index, partitions, and what is new in the schema."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.errors import QueryCanceled

from tests.support.majors import every_major
from tests.support.schema import owned_schema
from wedsync_db.history.maintenance import Memory
from wedsync_db.maintain.findings import Findings, Found, compared, find
from wedsync_db.maintain.giving_way import watching
from wedsync_db.maintain.night import Night
from wedsync_db.maintain.plan import Counters, LeftAlone
from wedsync_db.maintain.run import finish_requests, look_after
from wedsync_db.maintain.upkeep import clean_leftovers, keep_partitions, rebuild_one_index, retry_payments
from wedsync_db.maintain.work import Done
from wedsync_db.postgres.locks import announce
from wedsync_db.postgres.session import Address, session
from wedsync_db.report.maintenance import maintenance_line, maintenance_markdown
from wedsync_db.settings import MaintenanceSettings

SETTINGS = MaintenanceSettings(lock_timeout_ms=200, reindex_least_mb=0)
NOW = datetime(2026, 6, 7, 1, 30, tzinfo=UTC)


def words(kept):
    return {one.what: one.outcome for one in kept}


def indexes(db):
    return {
        name for (name,) in db.execute("select indexrelid::regclass::text from pg_index where indrelid = 't'::regclass")
    }


@every_major
def test_leftovers_are_dropped_and_what_somebody_else_left_is_only_reported(address, db):
    db.execute("create table t (id int primary key, value text)")
    for name in ("t_value_idx_ccnew", "t_value_idx_ccold1", "t_by_hand"):
        db.execute(f"create index {name} on t (value)")
        db.execute("update pg_index set indisvalid = false where indexrelid = to_regclass(%s)", [name])
    with watching(address) as watch:
        with session(address, "builder") as builder:
            builder.execute("begin; lock table t in share update exclusive mode")
            assert set(words(clean_leftovers(address, watch, budget_seconds=60)).values()) == {"busy"}
        found = words(clean_leftovers(address, watch, budget_seconds=60))
    assert found == {
        "invalid index public.t_by_hand": "reported",
        "invalid index public.t_value_idx_ccnew": "done",
        "invalid index public.t_value_idx_ccold1": "done",
    }
    assert indexes(db) == {"t_pkey", "t_by_hand"}


@every_major
def test_what_a_cancelled_rebuild_really_leaves_is_dropped(address, db):
    """Cancelled while it waits for a writer it leaves the new index, while it waits for a reader the old one."""
    db.execute("create table t (id int primary key, value text); create index t_value on t (value)")
    left = []
    for others in ("insert into t values (1, 'x')", "select * from t"):
        with session(address, "other", autocommit=False) as other:
            other.execute(others.encode())
            with session(address, "rebuild", statement_timeout_ms=500) as rebuild, pytest.raises(QueryCanceled):
                rebuild.execute("reindex index concurrently t_value")
        left += indexes(db) - {"t_pkey", "t_value", *left}
    assert [re.sub(r"\d+$", "", name) for name in left] == ["t_value_ccnew", "t_value_ccold"]
    with watching(address) as watch:
        assert set(words(clean_leftovers(address, watch, budget_seconds=60)).values()) == {"done"}
    assert indexes(db) == {"t_pkey", "t_value"}


@every_major
def test_the_emptiest_index_is_rebuilt_where_there_is_room(address, db):
    db.execute("create table t (id int primary key, value int) with (autovacuum_enabled = off)")
    db.execute("insert into t select n, n from generate_series(1, 40000) n")
    db.execute("create index t_value on t (value)")
    db.execute("delete from t where id % 20 <> 0")
    db.execute("vacuum (analyze) t")
    before = db.execute("select pg_relation_size('t_pkey')").fetchall()[0][0]

    def rebuilt(free, not_of=(), settings=SETTINGS):
        with watching(address) as watch:
            return rebuild_one_index(
                address, settings, watch, not_of=not_of, free_bytes=lambda: free, budget_seconds=60
            )

    assert [one.outcome for one in rebuilt(None)] == ["unknown"]
    assert [one.outcome for one in rebuilt(2 * before - 1)] == ["reported"]
    assert rebuilt(1 << 40, not_of=["public.t"]) == ()
    assert rebuilt(1 << 40, settings=MaintenanceSettings()) == (), "too small to matter"
    assert before == db.execute("select pg_relation_size('t_pkey')").fetchall()[0][0]
    first = rebuilt(1 << 40)
    assert [one.outcome for one in first] == ["done"]
    assert "by pg_class and pg_stats" in first[0].detail
    sizes = db.execute("select pg_relation_size('t_pkey'), pg_relation_size('t_value')").fetchall()[0]
    assert sorted(size < before / 4 for size in sizes) == [False, True], "one a night"
    rebuilt(1 << 40)
    assert rebuilt(1 << 40) == ()


def test_partitions_are_kept_ahead_and_what_has_none_is_reported(clusters):
    with owned_schema(clusters(18)) as db:
        info = db.info
        address = Address(info.host, info.port, info.dbname, info.user, info.password or None)
        with watching(address) as watch:
            made = keep_partitions(address, SETTINGS, watch, now=NOW + timedelta(days=3660))
            assert words(made) == {"audit.ensure_partitions": "done", "audit.drop_partitions_before": "done"}
            assert made[0].detail == "made: log_2036_06, log_2036_07, log_2036_08, log_2036_09"
            assert retry_payments(address, SETTINGS, watch, now=NOW)[0].outcome == "done"
            later = keep_partitions(address, SETTINGS, watch, now=NOW + timedelta(days=3660 * 2))
            assert "log_2036_06" in later[1].detail


def test_rows_without_a_partition_and_a_database_without_functions(address, db):
    db.execute("""
        create table public.parted (id int) partition by range (id);
        create table public.parted_rest partition of public.parted default;
        insert into public.parted values (1), (2)
    """)
    with watching(address) as watch:
        kept = look_after(address, SETTINGS, watch, now=NOW, budget_seconds=60)
    assert [(one.what, one.outcome) for one in kept] == [("partition public.parted_rest", "reported")]
    assert kept[0].detail == "2 rows have no partition of their own"


def test_nothing_is_begun_while_a_deployment_wants_the_target(address, db):
    db.execute("create table t (id int primary key, value text); create index t_ccnew on t (value)")
    db.execute("update pg_index set indisvalid = false where indexrelid = 't_ccnew'::regclass")
    with announce(address), watching(address) as watch:
        (kept,) = clean_leftovers(address, watch, budget_seconds=60)
    assert kept.outcome == "yielded"
    assert "t_ccnew" in indexes(db)


@every_major
def test_duplicate_indexes_are_found_and_nights_are_compared(address, db):
    db.execute("create table t (id int primary key, value text)")
    first = find(address)
    assert first.problems == ()
    db.execute(
        "create index t_one on t (value); create index t_two on t (value); create index t_down on t (value desc)"
    )
    db.execute("create index t_some on t (value) where id > 1; create index t_lower on t (lower(value))")
    tonight = compared(find(address), first.all)
    assert Found("duplicate-index", "public.t_one, public.t_two are the same") in tonight.new
    assert not [one for one in tonight.all if one.rule == "unused-index"], "nobody watched them for a month"
    db.execute("drop index t_one")
    assert (
        Found("duplicate-index", "public.t_one, public.t_two are the same") in compared(find(address), tonight.all).gone
    )


def test_what_was_not_looked_at_is_not_gone():
    before = (Found("rule", "a"), Found("rule", "b"))
    assert compared(Findings((before[0],)), before).gone == (before[1],)
    assert compared(Findings((before[0],), problems=("half",)), before).gone == ()
    assert compared(Findings(before), None).new is None


def night(number, *findings, done=()):
    at = NOW + timedelta(days=number)
    return Night("case", at, at + timedelta(minutes=5), "b", done, findings=Findings(findings))


def test_the_store_remembers_durations_and_findings_of_the_night_before(address):
    memory = Memory("case", address)
    assert memory.took_before() == {}
    assert memory.last_findings() is None
    counted = Counters(1, 1, 10, 100)
    done = (
        Done("public.a", "vacuum", "done", 4.0, counted, counted),
        Done("public.b", "vacuum", "yielded", 9.0, counted, detail="for somebody"),
    )
    memory.keep(night(0, Found("rule", "a"), done=done), "text")
    assert memory.took_before() == {("public.a", "vacuum"): 4.0}
    assert memory.last_findings() == (Found("rule", "a"),)
    memory.keep(night(1), "text")
    assert memory.last_findings() == (), "it is of last night, not of the last one with findings"
    assert memory.problems == []


def test_a_lost_store_is_said_once_and_stops_nothing(address):
    memory = Memory("case", address.with_database("no_such_database"))
    assert memory.took_before() == {}
    assert memory.last_findings() is None
    memory.keep(night(0), "text")
    assert len(memory.problems) == 1


@pytest.mark.parametrize(
    ("outcomes", "left", "left_open"),
    [(("done",), (), False), (("done", "busy"), (), True), (("denied",), (), False), ((), ("hot",), True)],
)
def test_a_request_is_finished_when_its_tables_are(address, db, outcomes, left, left_open):
    from wedsync_db.maintain.candidates import Request

    db.execute(
        "create schema ops;create table ops.maintenance_requests (relation text, finished_at timestamptz, outcome text)"
    )
    db.execute("insert into ops.maintenance_requests (relation) values ('public.t')")
    done = [Done(f"public.t_{n}", "vacuum", outcome) for n, outcome in enumerate(outcomes)]
    tables = tuple(one.table for one in done) + tuple(f"public.left_{n}" for n in range(len(left)))
    finish_requests(address, [Request("public.t", tables)], done)
    rows = db.execute("select finished_at is null, outcome from ops.maintenance_requests").fetchall()
    assert rows == [(left_open, None if left_open else ", ".join(outcomes))]


def test_the_page_says_first_what_somebody_should_look_at():
    page = Night(
        "case", NOW, NOW + timedelta(minutes=3), "2026-06-07", problems=("the history store does not answer",),
        done=(Done("public.a|b", "vacuum", "blocked_by_xmin", 3.0, detail="pid 1"),),
        left=(LeftAlone("public.c", "vacuum", "hot"),),
        findings=Findings((Found("rule", "a"),), new=(Found("rule", "a"),), gone=()),
    )  # fmt: skip
    text = maintenance_markdown(page)
    assert maintenance_line(page) == "case: done; 1 blocked_by_xmin, 1 hot; 1 new finding in the schema"
    order = ("Maintenance is done", "the history store", "blocked_by_xmin: pid 1", "written too hard", "New since")
    assert sorted(order, key=text.index) == list(order)
