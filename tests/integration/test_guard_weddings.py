"""The guard asks a WedSync database for the weddings that are near, and any other one for none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import sql

from tests.support.majors import MAJORS
from tests.support.schema import MIGRATIONS, closure, owned_database, run
from wedsync_db.errors import Refused
from wedsync_db.guard import questions
from wedsync_db.guard.checks import TIMELY, ask, check_guard
from wedsync_db.guard.decide import require_open
from wedsync_db.guard.doctor import doctor
from wedsync_db.guard.impact import NO_WORK, Impact, Reason, Work
from wedsync_db.guard.questions import Context
from wedsync_db.migrate.status import status
from wedsync_db.model import Severity
from wedsync_db.postgres.session import session
from wedsync_db.settings import Environment, GuardSettings

GUARDS = next(folder for folder in MIGRATIONS if folder.name == "0014_guards")
# the clock that is asked is another one than this machine's
SETTINGS = GuardSettings(freeze="off", free_disk_factor=0.001, wait_for_holder_seconds=0, clock_skew_seconds=1e12)
THURSDAY = datetime(2027, 6, 10, 12, 0, tzinfo=UTC)  # a wedding on Friday is locked, and it is Saturday nowhere
DROPS = Reason(Impact.DESTRUCTIVE, "0021_tidy", "takes away column public.guests.phone")


@pytest.fixture(scope="module", params=MAJORS)
def wedsync(clusters, request):
    """A database that knows of weddings: one on Friday in London."""
    with owned_database(clusters(request.param)) as address:
        with session(address, "test") as connection:
            for folder in closure(GUARDS):
                run(connection, folder, "deploy")
            connection.execute(
                "insert into weddings (title, wedding_date, time_zone) values ('w', '2027-06-11', 'Europe/London')"
            )
        yield address


@pytest.fixture
def at(monkeypatch):
    """Make the server's clock say something else to the guard."""

    def say(moment: datetime) -> None:
        monkeypatch.setattr(questions, "_server_time", lambda _: moment)

    say(THURSDAY)
    return say


def environment(**settings) -> Environment:
    return Environment("test", url_env="X", guard=replace(SETTINGS, **settings))


def guard(address, home, *, work=NO_WORK, stage="migrate", overrides=(), **settings):
    return check_guard(
        address, environment(**settings), stage=stage, clock=lambda: datetime.now(UTC), home=home, work=work,
        overrides=overrides,
    )  # fmt: skip


def said(report):
    return [(f.severity, f.message) for f in report.findings if f.rule == "weddings"]


def refusal(report):
    with pytest.raises(Refused) as caught:
        require_open(report)
    return caught.value


@pytest.mark.parametrize("stage", ["start", "migrate"])
def test_a_wedding_that_is_near_stops_a_deployment(wedsync, home, at, stage):
    error = refusal(guard(wedsync, home, stage=stage, zone="Europe/London"))
    assert error.message == ("the guard refuses: a wedding is locked (0 suppliers), and 0 may be while migrations run")
    assert error.hint == "No wedding is near from Sat 2027-06-12 06:00 BST on. Or: --override weddings=REASON"
    at(datetime(2027, 6, 12, 5, 0, tzinfo=UTC))
    assert said(guard(wedsync, home, stage=stage)) == []


@pytest.mark.usefixtures("at")
def test_what_nobody_notices_may_meet_as_many_as_the_environment_allows(wedsync, home):
    report = guard(wedsync, home, locked_weddings_allowed=1)
    assert said(report) == [(Severity.NOTE, "a wedding is locked; what these migrations do, nobody notices")]
    require_open(report)
    heavy = guard(wedsync, home, locked_weddings_allowed=1, work=Work(reasons=(DROPS,)))
    assert "0021_tidy is destructive: it takes away column public.guests.phone" in refusal(heavy).message


def test_a_wedding_counts_that_begins_before_all_could_be_rolled_back(wedsync, home, at):
    at(THURSDAY - timedelta(days=1))
    two_hours = Work(7200.0, roll_back_seconds=7200.0)
    assert said(guard(wedsync, home, work=two_hours)) == []
    at(datetime(2027, 6, 9, 20, 0, tzinfo=UTC))  # three hours before the lock
    assert said(guard(wedsync, home, work=replace(two_hours, roll_back_seconds=0.0))) == []
    assert said(guard(wedsync, home, work=two_hours)) != []


@pytest.mark.usefixtures("at")
def test_the_policy_and_an_override_decide_and_are_recorded(wedsync, home):
    warned = guard(wedsync, home, weddings="warn")
    assert [severity for severity, _ in said(warned)] == [Severity.WARNING]
    require_open(warned)
    assert said(guard(wedsync, home, weddings="off")) == []
    report = guard(wedsync, home, work=Work(reasons=(DROPS,)), overrides=["weddings=the couple agreed"])
    assert said(report)[0][1].endswith("(overridden: the couple agreed)")
    assert [(o.rule, o.reason) for o in report.overrides] == [("weddings", "the couple agreed")]
    require_open(report)


def test_a_closed_platform_stops_even_what_nobody_notices(wedsync, home, at):
    at(datetime(2027, 7, 6, 12, 0, tzinfo=UTC))
    with session(wedsync, "test") as db:
        db.execute("select ops.set_write_gate('read_only', 'incident 7')")
        try:
            report = guard(wedsync, home, locked_weddings_allowed=1000)
        finally:
            db.execute("select ops.set_write_gate('open')")
    error = refusal(report)
    assert error.message == "the guard refuses: the platform takes no writes: incident 7"
    assert error.hint.startswith("Ask who closed the platform")


@pytest.mark.usefixtures("at")
def test_an_answer_that_is_not_given_does_not_pass(wedsync, home, clusters, request):
    """The role may not ask: then a wedding may be near."""
    name = sql.Identifier(f"stranger_{wedsync.dbname}")
    cluster = clusters(request.node.callspec.params["wedsync"])
    with session(cluster.address(wedsync.dbname), "test-admin") as admin:
        admin.execute(sql.SQL("create role {}; grant pg_read_all_data, pg_read_all_stats to {}").format(name, name))
        try:
            stranger = replace(cluster.address(wedsync.dbname), session_authorization=f"stranger_{wedsync.dbname}")
            report = guard(stranger, home, locked_weddings_allowed=1000)
        finally:
            admin.execute(sql.SQL("drop role {}").format(name))
    ((severity, message),) = said(report)
    assert severity is Severity.ERROR
    assert message.startswith("it could not be checked that no wedding is so near")
    assert message.endswith("(42501)")


@pytest.mark.usefixtures("at")
def test_a_wedding_booked_meanwhile_is_seen_when_the_guard_asks_again(wedsync, home):
    assert "weddings" in TIMELY
    quiet = {"locked_weddings_allowed": 1}
    require_open(guard(wedsync, home, **quiet))
    with session(wedsync, "booking") as db:
        made = db.execute(
            "insert into weddings (title, wedding_date, time_zone) values ('new', '2027-06-11', 'UTC') returning id"
        ).fetchone()
        try:
            assert "2 weddings are locked" in refusal(guard(wedsync, home, **quiet)).message
        finally:
            db.execute("delete from weddings where id = %s", made)


# -- any other database ------------------------------------------------------------------------------------------------
UNKNOWN = "this database has no ops.deploy_window(): it knows of no weddings"


def test_another_database_knows_of_none_and_that_is_only_noted(address, home, db):
    report = guard(address, home)
    assert said(report) == [(Severity.NOTE, UNKNOWN)]
    require_open(report)
    assert said(guard(address, home, weddings="off")) == []
    db.execute("create schema ops; create function ops.deploy_window() returns text language sql as 'select 1'")
    assert said(guard(address, home)) == [(Severity.NOTE, UNKNOWN)]  # of that name, but another one


ANSWERS = "weddings_locked int, organizations_touched int, next_release timestamptz, next_open timestamptz"


@pytest.mark.parametrize(
    ("columns", "answer"),
    [
        ("out verdict text", "'open'"),
        (
            f"out verdict text, out reasons text[], out {ANSWERS.replace(', ', ', out ')}",
            "'soon', '{}'::text[], 0, 0, null::timestamptz, null::timestamptz",
        ),
    ],
)
def test_an_answer_that_is_not_understood_does_not_pass(db, tmp_path, columns, answer):
    db.execute("create schema ops")
    db.execute(
        f"create function ops.deploy_window(timestamptz, timestamptz, {columns}) language sql as $$ select {answer} $$"
    )
    (found,) = ask(db, Context(environment(), tmp_path, lambda: THURSDAY), frozenset({"weddings"}))
    assert found.severity is Severity.ERROR


def test_doctor_says_what_is_asked(address, wedsync, home, at):
    at(datetime(2027, 7, 6, 12, 0, tzinfo=UTC))

    def of(target, **settings):
        (found,) = [f for f in doctor(target, environment(**settings), home) if f.rule == "weddings"]
        return found.severity, found.message

    assert of(address) == (Severity.NOTE, UNKNOWN)
    assert of(address, weddings="off") == (Severity.NOTE, "weddings are not asked about in this environment")
    assert of(wedsync) == (Severity.NOTE, "no wedding is so near that these migrations could disturb it")
    at(THURSDAY)
    assert of(wedsync)[0] is Severity.WARNING  # true today only


@pytest.mark.usefixtures("at")
def test_status_weighs_what_is_pending(wedsync, home, tmp_path):
    folder = tmp_path / "migrations" / "0021_tidy"
    folder.mkdir(parents=True)
    (folder / "deploy.sql").write_text("alter table public.guests drop column phone;\n")
    settings = replace(environment(locked_weddings_allowed=9), migrations=tmp_path / "migrations")
    found = status(wedsync, settings, home, clock=lambda: datetime.now(UTC)).guard
    (message,) = [f.message for f in found if f.rule == "weddings"]
    assert message == "a wedding is locked, and 0021_tidy is destructive: it does what COL-5 warns of"
