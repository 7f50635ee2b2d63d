"""When a wedding is locked and when a deployment may run: asked of the database, answered by a calendar of our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from tests.support.majors import MAJORS
from tests.support.schema import MIGRATIONS, acting_as, closure, make_api_roles, owned_database, run
from wedsync_db.postgres.session import session

SATURDAY = 5  # date.weekday()
GUARDS = next(folder for folder in MIGRATIONS if folder.name == "0014_guards")
TWO_WEEKS = timedelta(days=14)


@pytest.fixture(scope="module", params=MAJORS)
def address(clusters, request):
    """A database with the guards and what they need, owned by an ordinary role."""
    make_api_roles(clusters(request.param))  # by somebody else, so that the owner gets to be a member
    with owned_database(clusters(request.param)) as address:
        with session(address, "test") as connection:
            for folder in closure(GUARDS):
                run(connection, folder, "deploy")
        yield address


@pytest.fixture(scope="module")
def db(address):
    with session(address, "test") as connection:
        yield connection


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wed(db, day: date | str, zone: str, status: str = "confirmed") -> str:
    made = "insert into weddings (title, wedding_date, time_zone, status) values ('w', %s, %s, %s) returning id"
    return str(db.execute(made, [day, zone, status]).fetchone()[0])


def window(db, lower, upper) -> dict:
    with db.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from ops.deploy_window(%s, %s)", [lower, upper]).fetchone()


# -- a calendar that knows nothing of SQL ------------------------------------------------------------------------------
def first_moment(zone: ZoneInfo, wall: datetime) -> datetime:
    """The earliest second at which it is this late there, found by halving."""
    early, late = (wall.replace(tzinfo=UTC) + timedelta(hours=hours) for hours in (-26, 26))
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            late = middle
        else:
            early = middle
    return late


def lock_of(day: date, zone: str) -> tuple[datetime, datetime]:
    there = ZoneInfo(zone)
    before, after = (datetime.combine(day + timedelta(days=n), time(hour)) for n, hour in ((-1, 0), (1, 6)))
    return first_moment(there, before), first_moment(there, after)


@dataclass(frozen=True)
class Expected:
    verdict: str
    weddings_locked: int
    next_release: datetime | None
    next_open: datetime | None
    saturday_zones: list[str]


def expected(weddings: Sequence[tuple[date, str]], lower: datetime, upper: datetime) -> Expected:
    locks = [(*lock_of(day, zone), zone) for day, zone in weddings]
    meeting = [(start, end, zone) for start, end, zone in locks if start <= upper and lower < end]
    saturdays = sorted({zone for _, _, zone in meeting if _is_saturday(zone, lower, upper)})
    return Expected(
        "closed" if saturdays else "restricted" if meeting else "open",
        len(meeting),
        min((end for _, end, _ in meeting), default=None),
        _next_open(locks, lower, upper - lower) if meeting else None,
        saturdays,
    )


def _is_saturday(zone, lower, upper):
    moments = [min(lower + timedelta(hours=n), upper) for n in range(24 * 8)]
    return any(moment.astimezone(ZoneInfo(zone)).weekday() == SATURDAY for moment in moments)


def _next_open(locks, lower, lasting):
    start = lower
    while in_the_way := [end for begin, end, _ in locks if begin <= start + lasting and start < end]:
        start = max(in_the_way)
    return start if start - lower <= TWO_WEEKS else None


# -- the lock of one wedding -------------------------------------------------------------------------------------------
ZONES = [
    "Europe/London", "America/New_York", "America/Los_Angeles", "America/St_Johns", "America/Havana",
    "Pacific/Honolulu", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dubai", "Asia/Beirut", "Australia/Sydney",
    "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Pago_Pago",
    "Atlantic/Azores", "UTC", "Etc/GMT+12",
]  # fmt: skip


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2027-06-12", "Europe/London", 54),
        ("2027-03-28", "Europe/London", 53),  # summer time begins in the night to the wedding
        ("2027-10-31", "Europe/London", 55),  # and ends
        ("2027-03-27", "Europe/London", 53),  # in the night after it
        ("2027-03-29", "Europe/London", 53),  # in the night before
        ("2027-03-30", "Europe/London", 54),
        ("2027-10-03", "Australia/Sydney", 53),
        ("2027-04-04", "Australia/Sydney", 55),
        ("2027-04-04", "Australia/Lord_Howe", 54.5),  # half an hour only
        ("2027-03-14", "America/Los_Angeles", 53),
        ("2027-11-07", "America/Los_Angeles", 55),
        ("2027-03-15", "America/Havana", 53),  # there is no 00:00 on the day before
        ("2027-11-08", "America/Havana", 55),  # and there are two: from the first one on
        ("2027-06-12", "Pacific/Kiritimati", 54),
    ],
)
def test_a_lock_lasts_from_the_day_before_until_six_after(db, day, zone, hours):
    start, end = db.execute("select lower(l), upper(l) from ops.wedding_lock(%s, %s) as l", [day, zone]).fetchone()
    assert (start, end) == lock_of(date.fromisoformat(day), zone)
    assert (end - start).total_seconds() == hours * 3600


# by a date in UTC the first two would have been missed, and the last two still be locked
@pytest.mark.parametrize(
    ("day", "zone", "moment", "verdict"),
    [
        ("2027-06-12", "Australia/Sydney", "2027-06-10 15:00", "restricted"),
        ("2027-06-14", "America/Los_Angeles", "2027-06-13 12:00", "restricted"),
        ("2027-06-12", "Australia/Sydney", "2027-06-12 23:00", "open"),
        ("2027-06-12", "Pacific/Kiritimati", "2027-06-12 23:00", "open"),
        ("2027-06-12", "Europe/London", "2027-06-10 23:00", "restricted"),  # midnight, as it is summer
        ("2027-06-12", "Europe/London", "2027-06-10 22:59:59.999999", "open"),
        ("2027-06-12", "Europe/London", "2027-06-13 04:59:59.999999", "restricted"),
        ("2027-06-12", "Europe/London", "2027-06-13 05:00", "open"),
        ("2027-06-12", "Europe/London", "2027-06-12 12:00", "closed"),
        ("2027-06-12", "Pacific/Kiritimati", "2027-06-11 09:59", "restricted"),
        ("2027-06-12", "Pacific/Kiritimati", "2027-06-11 10:00", "closed"),  # Saturday there, Friday everywhere else
        ("2027-06-12", "Pacific/Pago_Pago", "2027-06-13 10:59", "closed"),  # still Saturday there
        ("2027-06-12", "Pacific/Pago_Pago", "2027-06-13 11:00", "restricted"),
    ],
)
def test_a_wedding_is_near_by_the_clocks_of_its_place(db, day, zone, moment, verdict):
    with db.transaction(force_rollback=True):
        wed(db, day, zone)
        said = window(db, utc(moment), utc(moment))
    assert said["verdict"] == verdict
    assert said["saturday_zones"] == ([zone] if verdict == "closed" else [])


dates = st.dates(date(2026, 1, 1), date(2030, 12, 31))
# the nights of the changes, and of the weekend's other side of the world, are what may go wrong
nights = st.sampled_from(
    [date(2027, 3, 14), date(2027, 3, 28), date(2027, 4, 4), date(2027, 10, 3), date(2027, 10, 31)]
)
some_dates = nights.flatmap(lambda night: st.integers(-5, 20).map(lambda n: night + timedelta(days=n))) | dates


@st.composite
def calendars(draw):
    """Weddings close to one date, and a window near it of up to three days."""
    middle = draw(some_dates)
    near = st.tuples(st.integers(-4, 16).map(lambda n: middle + timedelta(days=n)), st.sampled_from(ZONES))
    weddings = draw(st.lists(near, max_size=6))
    minutes = st.integers(-3 * 24 * 60, 3 * 24 * 60)
    lower = datetime.combine(middle, time(), UTC) + timedelta(minutes=draw(minutes), seconds=draw(st.integers(0, 59)))
    lasting = draw(st.just(0) | st.integers(1, 3600) | st.integers(1, 3 * 86_400))
    return weddings, lower, lower + timedelta(seconds=lasting)


def every(days: int, count: int) -> list[tuple[date, str]]:
    return [(date(2027, 6, 1) + timedelta(days=days * n), "UTC") for n in range(count)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(calendar=([], utc("2027-06-12"), utc("2027-06-12")), session_zone="UTC")
@example(
    calendar=([(date(2027, 3, 28), "Europe/London")], utc("2027-03-27 00:30"), utc("2027-03-29 00:30")),
    session_zone="Europe/London",
)
# between two of these locks are 18 hours: not enough for as many, as both ends belong to a window
@example(calendar=(every(3, 2), utc("2027-06-01"), utc("2027-06-01 18:00")), session_zone="UTC")
@example(calendar=(every(3, 2), utc("2027-06-01"), utc("2027-06-01 17:59:59")), session_zone="UTC")
# between these are none, for two weeks to the minute
@example(calendar=(every(2, 7), utc("2027-05-31 06:00"), utc("2027-05-31 06:00")), session_zone="UTC")
@example(calendar=(every(2, 7), utc("2027-05-31 05:59"), utc("2027-05-31 06:00")), session_zone="UTC")
@given(calendar=calendars(), session_zone=st.sampled_from(ZONES))
def test_the_window_is_what_the_calendar_says(db, calendar, session_zone):
    weddings, lower, upper = calendar
    with db.transaction(force_rollback=True):
        db.execute("select set_config('TimeZone', %s, true)", [session_zone])
        for day, zone in weddings:
            wed(db, day, zone)
        said = window(db, lower, upper)
    theirs = Expected(**{name: said[name] for name in Expected.__dataclass_fields__})
    assert theirs == expected(weddings, lower, upper)
    assert bool(said["reasons"]) is (said["verdict"] != "open")


# -- what counts -------------------------------------------------------------------------------------------------------
NOON = utc("2027-06-10 12:00")  # the day before a Friday wedding
FRIDAY = "2027-06-11"


def test_what_is_off_or_over_locks_nothing(db):
    with db.transaction(force_rollback=True):
        for status in ("completed", "cancelled"):
            wed(db, FRIDAY, "UTC", status)
        assert window(db, NOON, NOON)["verdict"] == "open"
        for status in ("planning", "confirmed"):
            wed(db, FRIDAY, "UTC", status)
        assert window(db, NOON, NOON)["weddings_locked"] == 2


def test_suppliers_who_accepted_are_touched_each_once(db):
    with db.transaction(force_rollback=True):
        weddings = [wed(db, FRIDAY, "UTC") for _ in range(2)]
        numbers = count()

        def hire(wedding, slug, status):
            db.execute(
                "insert into organizations (name, slug, category, time_zone) values ('o', %s, 'venue', 'UTC')"
                " on conflict do nothing", [slug],
            )  # fmt: skip
            db.execute(
                "insert into wedding_vendors (wedding_id, organization_id, category, status, responded_at)"
                " select %s, id, 'venue', %s, now() from organizations where slug = %s", [wedding, status, slug],
            )  # fmt: skip
            return next(numbers)

        for wedding in weddings:
            hire(wedding, "both", "accepted")
        hire(weddings[0], "one", "accepted")
        hire(weddings[0], "asked", "invited")
        hire(wed(db, "2027-08-11", "UTC"), "far", "accepted")
        said = window(db, NOON, NOON)
    assert (said["organizations_touched"], said["reasons"]) == (2, ["2 weddings are locked"])


def test_a_closed_platform_is_no_time_to_deploy(db):
    with db.transaction(force_rollback=True):
        db.execute("set local wedsync.clock = '2027-06-10 11:00Z'")
        db.execute("select ops.set_write_gate('read_only', 'payments are wrong', '2027-06-10 12:00Z')")
        said = window(db, NOON - timedelta(seconds=1), NOON)
        assert (said["verdict"], said["reasons"]) == ("closed", ["the platform takes no writes: payments are wrong"])
        assert window(db, NOON, NOON)["verdict"] == "open"


def test_reasons_come_one_by_one(db):
    with db.transaction(force_rollback=True):
        wed(db, "2027-06-12", "Australia/Sydney")
        db.execute("select ops.set_write_gate('read_only', 'incident')")
        said = window(db, utc("2027-06-12 10:00"), utc("2027-06-12 10:05"))
    assert said["reasons"] == [
        "a wedding is locked", "it is Saturday in Australia/Sydney", "the platform takes no writes: incident",
    ]  # fmt: skip


def test_a_wedding_booked_meanwhile_is_seen_by_the_next_question(db, address):
    assert window(db, NOON, NOON)["verdict"] == "open"
    with session(address, "booking") as other:
        wedding = wed(other, FRIDAY, "Europe/London", "planning")
    try:
        assert window(db, NOON, NOON)["verdict"] == "restricted"
    finally:
        db.execute("delete from weddings where id = %s", [wedding])


@pytest.mark.parametrize(
    ("lower", "upper"), [(None, NOON), (NOON, None), (NOON, NOON - timedelta(seconds=1)), ("-infinity", "infinity")]
)
def test_half_a_window_is_none(db, lower, upper):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="a beginning and an end"):
        window(db, lower, upper)


def test_no_clock_is_read(db):
    """Whatever time it is, the answer is about the time that was asked for; and nothing in it could read a clock."""
    with db.transaction(force_rollback=True):
        wed(db, FRIDAY, "UTC")
        answers = []
        for clock in ("2000-01-01 00:00Z", "2027-06-10 12:00Z", "2030-01-01 00:00Z"):
            db.execute("select set_config('wedsync.clock', %s, true)", [clock])
            answers.append(window(db, NOON, NOON))
    assert answers[0]["verdict"] == "restricted"
    assert answers[0] == answers[1] == answers[2]
    sources = db.execute(
        "select prosrc from pg_proc where oid in ('ops.deploy_window(timestamptz,timestamptz)'::regprocedure,"
        " 'ops.wedding_lock(date,text)'::regprocedure, 'ops.is_saturday(text,timestamptz,timestamptz)'::regprocedure)"
    ).fetchall()
    assert len(sources) == 3
    assert not [
        s for (s,) in sources if any(word in s.lower() for word in ("now(", "clock", "current_", "timestamp()"))
    ]


def test_only_the_dates_around_the_window_are_read(db):
    """Of three thousand weddings a few dozen, through their index; never the last that a row may hold."""
    with db.transaction(force_rollback=True):
        db.execute(
            "insert into weddings (title, wedding_date, time_zone)"
            " select 'w', date '2026-01-01' + n / 3, 'Europe/London' from generate_series(0, 2999) as n"
        )
        wed(db, "2200-01-01", "Pacific/Kiritimati")
        db.execute("analyze weddings")
        before = _tuples_read(db)
        assert window(db, NOON, NOON)["weddings_locked"] == 6  # three today, three tomorrow
        assert _tuples_read(db) - before < 100


def _tuples_read(db):
    counted = (
        "select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables where relname = 'weddings'"
    )
    return db.execute(counted).fetchone()[0]


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_the_api_cannot_ask(db, role):
    with acting_as(db, None, role), pytest.raises(psycopg.errors.InsufficientPrivilege, match="schema ops"):
        window(db, NOON, NOON)


def test_the_platforms_server_side_can(db):
    with acting_as(db, None, "service_role"):
        assert window(db, NOON, NOON)["verdict"] == "open"
