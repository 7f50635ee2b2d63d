"""Nightly work on tables: what needs it is found, what was done is counted, and a deployment is given way to."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg
import pytest

from tests.support.majors import every_major
from tests.support.waiting import until
from wedsync_db.errors import Displaced
from wedsync_db.maintain.candidates import finish_request, needs
from wedsync_db.maintain.giving_way import _Telling, watching
from wedsync_db.maintain.plan import Work, plan
from wedsync_db.maintain.work import work_through
from wedsync_db.postgres.locks import announce, target_lock
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import session
from wedsync_db.settings import MaintenanceSettings

SETTINGS = MaintenanceSettings(lock_timeout_ms=100, cost_delay_ms=0)
BLOATED = """
create table public.bloated (id int primary key, value text) with (autovacuum_enabled = off);
insert into public.bloated select n, 'v' from generate_series(1, 2000) n;
analyze public.bloated;
update public.bloated set value = 'w';
"""


def found(db, settings=SETTINGS):
    return {one.table: one for one in needs(db, settings, sleep=lambda _: None).candidates}


def counted(db, table="public.bloated"):
    """What was written is in the counters."""
    question = f"select pg_stat_get_dead_tuples('{table}'::regclass) > 0"
    until(lambda: db.execute(question).fetchall()[0][0])


def worked(address, *work, settings=SETTINGS, budget=60, **more):
    with watching(address) as watch:
        planned = [Work(table, action, 1) for table, action in work]
        return work_through(address, planned, settings, watch, budget_seconds=budget, **more)


@every_major
def test_a_bloated_table_is_found_cleaned_and_counted(address, db):
    db.execute(BLOATED)
    counted(db)
    assert found(db)["public.bloated"].action == "vacuum"
    said = []
    (done,) = worked(address, ("public.bloated", "vacuum"), say=said.append)
    assert (done.outcome, done.detail) == ("done", "")
    assert done.before.dead_rows == 2000
    assert done.after.dead_rows == 0
    assert done.after.analyzes == done.before.analyzes + 1
    assert said == ["vacuum public.bloated: done"]
    assert "public.bloated" not in found(db)


@every_major
def test_what_needs_work_is_what_the_administration_says(address, db):
    db.execute(BLOATED)
    db.execute("""
        create table public."Odd name" (id int) with (autovacuum_enabled = off);
        insert into public."Odd name" select generate_series(1, 10);
        create table public.parted (id int) partition by range (id);
        create table public.part_1 partition of public.parted for values from (0) to (10);
        create table public.patient (id int) with (autovacuum_enabled = off, autovacuum_vacuum_threshold = 100000);
        insert into public.patient select generate_series(1, 500);
        analyze public.patient;
        delete from public.patient;
        create table public.large_values (value text) with (autovacuum_enabled = off)
    """)
    counted(db)
    counted(db, "public.patient")
    now = found(db)
    assert now["public.bloated"].action == "vacuum"
    assert now['public."Odd name"'].action == "analyze"
    assert now["public.parted"].action == "analyze"
    assert now["public.patient"].action == "analyze", "its own threshold for vacuum counts"
    assert "public.large_values" not in now, "nothing in it"
    ages = found(db, replace(SETTINGS, freeze_ratio=0.0))
    assert ages["public.bloated"].action == "freeze"
    done = worked(address, ('public."Odd name"', "analyze"), ("public.parted", "analyze"), ("public.bloated", "freeze"))
    assert [one.outcome for one in done] == ["done"] * 3


def test_the_most_dead_rows_that_autovacuum_waits_for_count_from_18_on(address, db):
    """With 1,000,000 rows it would wait for 200,050; the table's own limit says 500."""
    db.execute(
        "create table public.huge (id int) with (autovacuum_enabled = off, autovacuum_vacuum_max_threshold = 500)"
    )
    db.execute("insert into public.huge select generate_series(1, 20000); analyze public.huge")
    db.execute("delete from public.huge where id <= 1600; update pg_class set reltuples = 1e6 where relname = 'huge'")
    counted(db, "public.huge")
    assert found(db)["public.huge"].action == "vacuum"
    assert found(db)["public.huge"].priority == pytest.approx(3.2)
    debts = db.execute(query("health", "autovacuum"), {}).fetchall()
    assert ("public.huge", pytest.approx(3.2)) in [row[:2] for row in debts]


def test_a_table_that_is_written_or_worked_on_is_left_alone(address, db):
    db.execute(BLOATED)
    counted(db)

    def write(_seconds):
        db.execute("update public.bloated set value = 'x'")
        counter = "select pg_stat_get_tuples_updated('public.bloated'::regclass) >= 4000"
        until(lambda: db.execute(counter).fetchall()[0][0])

    hot = needs(db, SETTINGS, sleep=write).candidates
    assert [left.reason for left in plan(hot, SETTINGS, budget_seconds=60, took_before={})[1]] == ["hot"]
    with session(address, "somebody") as other:
        other.execute("begin; lock table public.bloated in share update exclusive mode")
        assert found(db)["public.bloated"].running
    assert not found(db)["public.bloated"].running


@every_major
def test_no_right_no_lock_no_time_and_no_table_each_have_their_word(address, db):
    db.execute(BLOATED)
    db.execute("create table public.own (id int); alter table public.own owner to pg_monitor")
    counted(db)
    work = (("public.bloated", "vacuum"), ("public.own", "analyze"), ("public.missing", "analyze"))
    denied, analyzed, gone = worked(replace(address, role="pg_monitor"), *work)
    assert (denied.outcome, analyzed.outcome, gone.outcome) == ("denied", "done", "gone")
    with session(address, "somebody") as other:
        other.execute("begin; lock table public.bloated in access exclusive mode")
        (busy,) = worked(address, ("public.bloated", "vacuum"))
    assert busy.outcome == "busy"
    (late,) = worked(address, ("public.bloated", "vacuum"), budget=0)
    assert late.outcome == "over_budget"
    assert db.execute("select pg_stat_get_vacuum_count('public.bloated'::regclass)").fetchall() == [(0,)]


LARGE = """
create table public.large (id int, filler text) with (autovacuum_enabled = off);
insert into public.large select n, repeat('x', 1000) from generate_series(1, 20000) n;
update public.large set id = -id
"""
SLOW = replace(SETTINGS, cost_delay_ms=100)  # minutes, if nobody stops it


def test_a_table_that_takes_longer_than_the_night_is_ended_with_it(address, db):
    db.execute(LARGE)
    (done,) = worked(address, ("public.large", "vacuum"), settings=SLOW, budget=1)
    assert done.outcome == "over_budget"
    assert "no time was left" in done.detail


def test_who_waits_for_a_vacuum_does_not_wait_for_long(address, db):
    """Autovacuum gives way to a change of the table, and so does ours: behind a change that waits, everybody waits."""
    db.execute(LARGE)
    changed = []

    def change():
        at_it = "select exists (select from pg_stat_progress_vacuum where relid = 'public.large'::regclass)"
        with session(address, "somebody", lock_timeout_ms=0) as other:
            until(lambda: other.execute(at_it).fetchall()[0][0])
            changed.append(other.info.backend_pid)
            other.execute("alter table public.large add column note text")

    thread = threading.Thread(target=change)
    thread.start()
    (done,) = worked(address, ("public.large", "vacuum"), settings=SLOW)
    thread.join()
    assert done.outcome == "busy"
    assert done.detail == f"it was ended for pid {changed[0]} (wedsync-db/somebody), who waited for its lock"


@every_major
def test_who_still_sees_the_dead_rows_is_named(address, db):
    with session(
        address, "forgotten", autocommit=False, settings={"default_transaction_isolation": "repeatable read"}
    ) as old:
        old.execute("select 1 from pg_class limit 1")
        db.execute(BLOATED)
        counted(db)
        (done,) = worked(address, ("public.bloated", "vacuum"))
        assert done.outcome == "blocked_by_xmin"
        assert f"pid {old.info.backend_pid} (wedsync-db/forgotten" in done.detail


@every_major
def test_a_prepared_transaction_that_still_sees_them_is_named_too(address, db):
    """It has no session, and survives restarts: nobody finds it by looking for who is connected."""
    db.execute(
        "create table public.other (id int); begin; insert into public.other values (1); prepare transaction 'old'"
    )
    try:
        db.execute(BLOATED)
        counted(db)
        (done,) = worked(address, ("public.bloated", "vacuum"))
    finally:
        db.execute("rollback prepared 'old'")
    assert (done.outcome, done.detail) == ("blocked_by_xmin", "dead rows are still seen by prepared transaction 'old'")


@contextmanager
def deployment(address, *, when):
    """A deployment that announces itself as soon as `when` is true."""
    over = threading.Event()

    def run():
        until(when)
        with announce(address):
            over.wait(60)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_deployment_stops_a_long_vacuum_and_all_that_comes_after(address, db):
    db.execute(LARGE)
    at_it = "select exists (select from pg_stat_progress_vacuum where relid = 'public.large'::regclass)"
    fractions = []
    with ExitStack() as stack:
        looking = stack.enter_context(session(address, "test"))
        stack.enter_context(deployment(address, when=lambda: fractions and looking.execute(at_it).fetchall()[0][0]))
        work = (("public.large", "vacuum"), ("public.large", "analyze"))
        first, second = worked(address, *work, settings=SLOW, progress=fractions.append)
    assert (first.outcome, second.outcome) == ("yielded", "yielded")
    assert "wedsync-db/deployment" in first.detail
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert not db.execute(at_it).fetchall()[0][0], "the server has stopped, too"


def test_nothing_goes_on_when_nobody_can_look_for_deployments(address, db):
    db.execute(BLOATED)
    with watching(address) as watch:
        pid = watch._looking.info.backend_pid
        db.execute("select pg_terminate_backend(%s, 10000)", [pid])
        (done,) = work_through(address, [Work("public.bloated", "vacuum", 1)], SETTINGS, watch, budget_seconds=60)
    assert done.outcome == "failed"


def test_nothing_goes_on_when_the_target_is_not_ours_any_more(address, db):
    db.execute(BLOATED)
    with ExitStack() as stack:
        lock = stack.enter_context(target_lock(address, "maintenance", wait_seconds=0, say=lambda _: None))
        watch = stack.enter_context(watching(address, lock.pid))
        watch.require_nobody()
        db.execute("select pg_terminate_backend(%s, 10000)", [lock.pid])
        (done,) = work_through(address, [Work("public.bloated", "vacuum", 1)], SETTINGS, watch, budget_seconds=60)
        assert (done.outcome, done.after) == ("failed", None)
        with pytest.raises(Displaced):
            watch.require_nobody()


def test_a_slow_listener_does_not_keep_a_deployment_waiting():
    heard, slow = [], threading.Event()

    def listen(fraction):
        heard.append(fraction)
        slow.wait(60)

    telling = _Telling(listen)
    telling.tell(0.1)
    telling.tell(0.2)
    slow.set()
    assert heard == [0.1]


def test_what_somebody_asked_for_comes_first_and_is_taken_off_the_list(db):
    db.execute(BLOATED)
    db.execute("""
        create schema ops;
        create table ops.maintenance_requests (
          relation text, requested_at timestamptz default now(), finished_at timestamptz, outcome text);
        create table public.fresh (id int);
        create table public.parted (id int) partition by range (id);
        create table public.part_1 partition of public.parted for values from (0) to (10);
        insert into ops.maintenance_requests (relation) values ('public.fresh'), ('public.parted'), ('public.gone')
    """)
    counted(db)
    now = needs(db, SETTINGS, sleep=lambda _: None)
    work, _ = plan(now.candidates, SETTINGS, budget_seconds=60, took_before={})
    asked = {one.table: one.action for one in work[:3]}
    assert asked == {"public.fresh": "vacuum", "public.part_1": "vacuum", "public.parted": "analyze"}
    assert work[3].table == "public.bloated"
    assert {one.relation: set(one.tables) for one in now.requests} == {
        "public.fresh": {"public.fresh"},
        "public.parted": {"public.part_1", "public.parted"},
        "public.gone": set(),
    }
    finish_request(db, "public.fresh", "done")
    left = db.execute("select relation from ops.maintenance_requests where finished_at is null order by 1").fetchall()
    assert left == [("public.gone",), ("public.parted",)]


@pytest.mark.parametrize("error", [psycopg.errors.UndefinedTable, psycopg.OperationalError])
def test_an_error_of_the_server_is_told_by_its_code_alone(error):
    from wedsync_db.maintain.work import failure

    class NobodyThere:
        wanted_by, is_lost, waiting = None, False, None

    outcome, detail = failure(error("a row's value"), NobodyThere())
    assert outcome == "failed"
    assert "value" not in detail
