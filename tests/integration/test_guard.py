"""The guard's questions, asked of real servers with real obstacles."""

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from wedsync_db.errors import TargetHeld, Unreachable, UsageError
from wedsync_db.guard import questions
from wedsync_db.guard.checks import QUESTIONS, TIMELY, ask, check_guard
from wedsync_db.guard.decide import require_open
from wedsync_db.guard.freeze import first_freeze
from wedsync_db.guard.impact import NO_WORK, Work
from wedsync_db.guard.questions import Context
from wedsync_db.model import Severity
from wedsync_db.postgres.cluster import binaries_of, scratch, start, stop
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import session
from wedsync_db.settings import Environment, GuardSettings

MAJORS = [m for m in (15, 16, 18) if binaries_of(m)]
OPEN = GuardSettings(freeze="off", weddings="off", wait_for_holder_seconds=0.0, free_disk_factor=0.001)
all_majors = pytest.mark.parametrize("major", MAJORS, indirect=True)


def now():
    return datetime.now(UTC)


@pytest.fixture
def guard(address, home):
    """Ask the guard: `guard()` → the report; settings and arguments as keywords."""

    def check(target=address, *, clock=now, stage="start", settings=None, overrides=(), work=NO_WORK, **environment):
        return check_guard(
            target,
            Environment("test", url_env="X", guard=replace(OPEN, **(settings or {})), **environment),
            stage=stage,
            clock=clock,
            home=home,
            overrides=overrides,
            work=work,
        )

    return check


@pytest.fixture
def ordinary(address, db):
    """The database for a role that may create in it, and nothing else; the role's name."""
    name = f"ordinary_{address.dbname}"
    names = {"role": sql.Identifier(name), "db": sql.Identifier(address.dbname)}
    db.execute(sql.SQL("create role {role}; grant create on database {db} to {role}").format(**names))
    yield replace(address, session_authorization=name)
    db.execute(sql.SQL("drop owned by {role} cascade; drop role {role}").format(**names))


def refusals(report):
    return {f.rule: f.message for f in report.refused}


@all_majors
@pytest.mark.parametrize("stage", ["start", "migrate"])
def test_a_quiet_database_is_open(guard, stage):
    report = guard(stage=stage)
    assert report.refused == ()
    assert [f for f in report.findings if f.rule != "replication"] == []
    require_open(report)


def test_only_what_may_change_is_asked_again(guard, address, db):
    db.execute("create schema wedsync_db")
    with target_lock(address, "backup", wait_seconds=0, say=print):
        assert guard(stage="migrate").refused == ()
        assert refusals(guard()).keys() == {"held"}
    assert "held" not in TIMELY


@all_majors
def test_a_holder_is_named_and_not_waited_for_longer_than_allowed(guard, address):
    with target_lock(address, "backup", wait_seconds=0, say=print) as lock:
        report = guard()
        assert f"wedsync-db/backup (pid {lock.pid}" in refusals(report)["held"]
        with pytest.raises(TargetHeld):
            require_open(report)


def test_a_holder_gets_time_to_yield(address, home):
    said = threading.Event()
    waiting = []

    def say(text):
        waiting.append(text)
        said.set()

    def hold():
        with target_lock(address, "maintenance", wait_seconds=0, say=print):
            held.set()
            said.wait(60)

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    environment = Environment("test", url_env="X", guard=replace(OPEN, wait_for_holder_seconds=60))
    report = check_guard(address, environment, stage="start", clock=now, home=home, say=say)
    thread.join()
    assert report.refused == ()
    assert len(waiting) == 1
    assert "wedsync-db/maintenance" in waiting[0]


@contextmanager
def open_transaction(address, statement="select 1", level="read committed"):
    with session(address, "obstacle", autocommit=False) as other:
        other.execute(sql.SQL("set transaction isolation level {}").format(sql.SQL(level)))
        other.execute(statement)
        yield other


def asked(connection, folder, rule, **settings):
    """The findings of one rule, its settings unchecked, so that a second can be a long time."""
    context = Context(Environment("test", url_env="X", guard=replace(OPEN, **settings)), folder, now)
    return ask(connection, context, frozenset({rule}))


@all_majors
@pytest.mark.parametrize("level", ["read committed", "repeatable read"])
def test_an_old_transaction_blocks(db, address, tmp_path, level):
    with open_transaction(address, "select 'a row value'", level) as other:
        (found,) = asked(db, tmp_path, "blockers", long_transaction_seconds=0)
        assert (
            f"wedsync-db/obstacle (pid {other.info.backend_pid}, user {address.user}) has a transaction"
            in found.message
        )
        assert "idle in transaction" in found.message
        assert f"pg_terminate_backend({other.info.backend_pid})" in found.hint
        assert "row value" not in f"{found.message} {found.hint}"
        assert asked(db, tmp_path, "blockers", long_transaction_seconds=300) == ()
    while asked(db, tmp_path, "blockers", long_transaction_seconds=0):  # until the server has seen the session's end
        time.sleep(0.01)


def test_transactions_of_other_databases_do_not_block(db, address, tmp_path):
    with open_transaction(address.with_database("postgres")):
        assert asked(db, tmp_path, "blockers", long_transaction_seconds=0) == ()


@all_majors
def test_sessions_that_cannot_be_seen_do_not_pass(db, guard, ordinary):
    (message,) = [m for r, m in refusals(guard(ordinary)).items() if r == "blockers"]
    assert "sessions of others are hidden" in message
    db.execute(sql.SQL("grant pg_read_all_stats to {}").format(sql.Identifier(ordinary.session_authorization)))
    assert refusals(guard(ordinary)) == {}


@pytest.fixture(scope="module")
def preparing():
    """A server of its own that allows prepared transactions, which the others do not."""
    with scratch(MAJORS[-1], settings={"max_prepared_transactions": "2"}) as cluster:
        yield cluster.address()


def test_a_prepared_transaction_blocks_until_it_is_decided(preparing, tmp_path):
    with open_transaction(preparing, "create table made ()") as other:
        other.execute("prepare transaction 'left behind'")
    with session(preparing, "test") as db:
        (found,) = asked(db, tmp_path, "blockers", long_transaction_seconds=0)
        assert "'left behind' of wedsync was prepared" in found.message
        assert asked(db, tmp_path, "blockers", long_transaction_seconds=300) == ()
        db.execute("rollback prepared 'left behind'")
        assert asked(db, tmp_path, "blockers", long_transaction_seconds=0) == ()


def test_a_vacuum_against_wraparound_is_told_from_a_session():
    message, hint = questions._blocker("vacuum", "4711", "", "autovacuum worker", "active", 61.4)
    assert message == "an autovacuum against wraparound (pid 4711) runs for 61 s and gives way to nobody"
    assert "finish" in hint


@all_majors
def test_a_role_must_be_able_to_create_the_ledger(db, guard, ordinary, address):
    role, database = sql.Identifier(ordinary.session_authorization), sql.Identifier(address.dbname)
    db.execute(sql.SQL("grant pg_read_all_stats to {}").format(role))
    assert refusals(guard(ordinary)) == {}
    db.execute(sql.SQL("revoke create on database {} from {}").format(database, role))
    assert "may not create a schema here" in refusals(guard(ordinary))["role"]
    db.execute("create schema wedsync_db")
    assert "may not create in schema wedsync_db" in refusals(guard(ordinary))["role"]
    db.execute(sql.SQL("grant usage, create on schema wedsync_db to {}").format(role))
    assert refusals(guard(ordinary)) == {}


@all_majors
def test_a_role_must_see_all_rows(db, guard, ordinary):
    role = sql.Identifier(ordinary.session_authorization)
    db.execute(sql.SQL("grant pg_read_all_stats to {}").format(role))
    db.execute('create table guests (n int); create table "Sea ting" (n int); create view v as select 1 as n')
    report = guard(ordinary)
    assert refusals(report)["rows"] == 'the role cannot read public."Sea ting", public.guests: no complete backup'
    (note,) = [f for f in report.findings if f.severity is Severity.NOTE]
    assert "2 tables belong to roles" in note.message
    db.execute(sql.SQL("grant pg_read_all_data to {}").format(role))
    assert refusals(guard(ordinary)) == {}
    db.execute("alter table guests enable row level security")
    assert refusals(guard(ordinary)) == {
        "rows": "row-level security hides rows of public.guests from the role: no complete backup"
    }
    db.execute(sql.SQL("alter table guests owner to {}").format(role))
    assert refusals(guard(ordinary)) == {}  # an owner sees all, unless it is forced
    db.execute("alter table guests force row level security")
    assert "rows" in refusals(guard(ordinary))
    db.execute(sql.SQL("alter role {} bypassrls").format(role))
    assert refusals(guard(ordinary)) == {}


@all_majors
def test_tls_is_what_the_server_says_not_what_was_asked(guard):
    assert "not encrypted" in refusals(guard(require_tls=True))["tls"]
    report = guard(require_tls=True, overrides=["tls=local test"])
    assert report.refused == ()


@all_majors
def test_a_clock_too_far_off_is_refused(guard):
    for seconds in (3, -3):
        skewed = refusals(guard(clock=lambda by=seconds: now() + timedelta(seconds=by)))
        assert "differ by 3." in skewed["clock"] or "differ by 2.9" in skewed["clock"]
    assert refusals(guard(clock=lambda: now() + timedelta(seconds=1))) == {}


@all_majors
def test_a_read_only_database_is_refused(db, guard, address):
    db.execute(
        sql.SQL("alter database {} set default_transaction_read_only = on").format(sql.Identifier(address.dbname))
    )
    assert refusals(guard()).keys() == {"read-only"}
    assert refusals(guard(stage="migrate")).keys() == {"read-only"}


@all_majors
def test_the_disk_must_hold_backup_and_scratch(guard):
    message = refusals(guard(settings={"free_disk_factor": 1e12}))["disk"]
    assert "1e+12 times the database's" in message
    assert refusals(guard(settings={"free_disk_factor": 1e12}, overrides=["disk=elsewhere"])) == {}


def test_the_state_folder_need_not_exist_yet(db, tmp_path):
    assert asked(db, tmp_path / "not" / "yet", "disk") == ()
    assert asked(db, Path("relative"), "disk") == ()


@all_majors
def test_the_freeze_goes_by_the_servers_clock(guard):
    zone = ZoneInfo("Pacific/Auckland")
    settings = {"freeze": "refuse", "zone": "Pacific/Auckland"}
    moment = now()
    expected = first_freeze(moment, moment, zone, 18)
    # a clock of ours that is weeks away changes nothing about the freeze
    report = guard(settings={**settings, "clock_skew_seconds": 1e9}, clock=lambda: now() + timedelta(days=4))
    assert ("freeze" in refusals(report)) is (expected is not None)


def test_the_prediction_and_a_roll_back_must_end_before_the_freeze(guard):
    moment = now()
    free_until = first_freeze(moment, moment + timedelta(days=7), ZoneInfo("UTC"), 18)
    seconds = max(0.0, (free_until.start - moment).total_seconds()) / 2 + 600
    work = Work(seconds, roll_back_seconds=seconds)
    report = guard(settings={"freeze": "refuse"}, work=work)
    assert "freeze" in refusals(report)
    assert "It ends on Mon " in report.refused[0].hint
    assert refusals(guard(settings={"freeze": "warn"}, work=work)) == {}
    assert guard(settings={"freeze": "off"}, work=work).findings == ()


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("2026-06-06T10:00:00", "nobody deploys on a weekend: frozen since Fri 2026-06-05 18:00 BST"),
        (
            "2026-06-05T16:00:00",
            "could last until Fri 2026-06-05 18:00 BST, into the freeze from Fri 2026-06-05 18:00 BST",
        ),
        ("2026-06-05T15:59:59", None),
    ],
)
def test_what_is_said_about_the_freeze(db, tmp_path, monkeypatch, moment, said):
    monkeypatch.setattr(questions, "_server_time", lambda _: datetime.fromisoformat(moment).replace(tzinfo=UTC))
    settings = replace(OPEN, freeze="refuse", zone="Europe/London")
    context = Context(
        Environment("test", url_env="X", guard=settings), tmp_path, now, Work(1800, roll_back_seconds=1800)
    )
    found = ask(db, context, frozenset({"freeze"}))
    assert [said in f.message for f in found] == ([True] if said else [])
    assert all(f.hint == "It ends on Mon 2026-06-08 00:00 BST" for f in found)


@all_majors
def test_replication_is_told_of_but_does_not_refuse(db, guard):
    slot, name = f"slot_{os.getpid()}", sql.Identifier(f"sub_{os.getpid()}")
    db.execute("select pg_create_physical_replication_slot(%s)", [slot])
    db.execute(sql.SQL("create subscription {} connection '' publication p with (connect = false)").format(name))
    try:
        report = guard()
    finally:
        db.execute(sql.SQL("alter subscription {0} set (slot_name = none)").format(name))
        db.execute(sql.SQL("drop subscription {}").format(name))
        db.execute("select pg_drop_replication_slot(%s)", [slot])
    assert report.refused == ()
    assert [(f.rule, f.severity) for f in report.findings] == [("replication", Severity.WARNING)] * 2
    assert [f.message for f in report.findings] == [f"slot {slot}", f"subscription sub_{os.getpid()}"]
    assert all(f.hint for f in report.findings)


@all_majors
def test_a_standby_is_refused(guard, major):
    with scratch(major) as cluster:
        stop(cluster)
        (cluster.data / "standby.signal").touch()
        start(cluster)
        assert refusals(guard(cluster.address())) == {"standby": "the server is a standby and takes no writes"}


@all_majors
def test_what_cannot_be_asked_does_not_pass(db, guard, ordinary):
    role = sql.Identifier(ordinary.session_authorization)
    db.execute(sql.SQL("grant pg_read_all_stats to {}").format(role))
    db.execute("revoke execute on function pg_control_system() from public")
    try:
        report = guard(ordinary)
    finally:
        db.execute("grant execute on function pg_control_system() to public")
    assert "does not tell this role which cluster it is" in refusals(report)["version"]
    db.execute("revoke execute on function pg_database_size(oid), pg_database_size(name) from public")
    try:
        report = guard(ordinary)
    finally:
        db.execute("grant execute on function pg_database_size(oid), pg_database_size(name) to public")
    assert refusals(report).keys() == {"disk"}
    assert refusals(report)["disk"].startswith("it could not be checked that there is room here")
    assert refusals(report)["disk"].endswith("permission denied for function pg_database_size (42501)")


def test_a_session_that_ends_in_between_passes_nothing(db, tmp_path):
    db.close()
    context = Context(
        Environment("test", url_env="X", guard=replace(OPEN, freeze="refuse", weddings="refuse")), tmp_path, now
    )
    found = ask(db, context, frozenset(QUESTIONS))
    silent = {"tls", "promotion", "load-test"}  # this environment asks for none of them
    assert {f.rule for f in found} == QUESTIONS.keys() - silent
    assert {f.severity for f in found} == {Severity.ERROR}


def test_reasons_hold_no_detail():
    error = psycopg.errors.UniqueViolation("duplicate key\nDETAIL: Key (email)=(a@b.c) exists")
    assert questions.reason(error) == "UniqueViolation (23505)"
    assert questions.reason(OSError(28, "No space left on device")) == "No space left on device"


def test_a_wrong_override_or_an_unreachable_server_is_not_a_finding(guard, address):
    with pytest.raises(UsageError):
        guard(overrides=["nothing=x"])
    with pytest.raises(Unreachable):
        guard(address.with_database("nowhere"))
