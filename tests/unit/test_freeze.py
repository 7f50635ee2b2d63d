"""The freeze calendar: never open on a Saturday, whatever the zone does to its clocks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.guard.freeze import Freeze, first_freeze, weekend

ZONES = [
    "UTC",
    "Europe/London",
    "America/New_York",
    "America/Havana",  # changes at midnight
    "America/Asuncion",
    "Asia/Amman",  # changed on Fridays
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Pacific/Apia",
    "Pacific/Kiritimati",
]


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.integers(int(utc("2020-01-01").timestamp()), int(utc("2037-12-31").timestamp())).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)
hours = st.integers(0, 24)
spans = st.timedeltas(timedelta(0), timedelta(hours=30))
SATURDAY, SUNDAY, FRIDAY = 5, 6, 4


@pytest.mark.parametrize(
    ("now", "zone", "frozen_until"),
    [
        ("2026-06-05T16:59:59", "Europe/London", None),
        ("2026-06-05T17:00:00", "Europe/London", "2026-06-07T23:00:00"),  # Friday 18:00 there
        ("2026-06-06T12:00:00", "Europe/London", "2026-06-07T23:00:00"),
        ("2026-06-07T22:59:59", "Europe/London", "2026-06-07T23:00:00"),
        ("2026-06-07T23:00:00", "Europe/London", None),
        ("2026-06-05T08:00:00", "Australia/Sydney", "2026-06-07T14:00:00"),  # Friday 18:00 there
        ("2026-06-07T14:00:00", "Australia/Sydney", None),
        ("2026-06-08T06:59:59", "America/Los_Angeles", "2026-06-08T07:00:00"),  # Sunday 23:59 there
        ("2026-03-28T12:00:00", "Europe/London", "2026-03-29T23:00:00"),  # summer time begins on that Sunday
        ("2026-10-24T12:00:00", "Europe/London", "2026-10-26T00:00:00"),  # and ends
    ],
)
def test_known_moments(now, zone, frozen_until):
    freeze = first_freeze(utc(now), utc(now), ZoneInfo(zone), 18)
    assert (freeze and freeze.end) == (frozen_until and utc(frozen_until))


def test_the_predicted_end_must_be_outside_too():
    thursday, zone = utc("2026-06-04T10:00:00"), ZoneInfo("UTC")
    weekend_ = Freeze(utc("2026-06-05T18:00:00"), utc("2026-06-08T00:00:00"))
    assert first_freeze(thursday, utc("2026-06-05T17:59:59"), zone, 18) is None
    assert first_freeze(thursday, utc("2026-06-05T18:00:00"), zone, 18) == weekend_
    assert first_freeze(thursday, utc("2026-06-20T00:00:00"), zone, 18) == weekend_


@pytest.mark.parametrize(("hour", "start"), [(0, "2026-06-05T00:00:00"), (24, "2026-06-06T00:00:00")])
def test_the_friday_may_be_all_in_or_all_out(hour, start):
    assert weekend(date(2026, 6, 1), ZoneInfo("UTC"), hour).start == utc(start)


def test_of_two_readings_of_a_wall_clock_the_longer_freeze_counts():
    # in Amman 01:00 of Friday 2021-10-29 became 00:00 once more
    assert weekend(date(2021, 10, 25), ZoneInfo("Asia/Amman"), 0).start == utc("2021-10-28T21:00:00")


@given(moments, zones, hours)
def test_every_moment_of_a_weekend_is_frozen_and_no_working_day_is(moment, zone, hour):
    local = moment.astimezone(zone)
    freeze = first_freeze(moment, moment, zone, hour)
    weekend_day = local.weekday() in {SATURDAY, SUNDAY}
    if weekend_day or (local.weekday() == FRIDAY and local.hour >= hour):
        assert freeze is not None
    elif local.weekday() < FRIDAY or local.hour < hour - 1:
        # an hour's tolerance on Friday for a zone that changes its clocks then; on Monday for one that skips midnight
        assert freeze is None or freeze.end - moment <= timedelta(hours=1)
    if freeze is not None:
        assert freeze.start <= moment < freeze.end


@given(moments, zones, hours, spans)
def test_a_window_is_refused_exactly_when_it_touches_a_freeze(start, zone, hour, span):
    freeze = first_freeze(start, start + span, zone, hour)
    if freeze is None:
        probe = start
        while probe <= start + span:
            assert first_freeze(probe, probe, zone, hour) is None
            probe += timedelta(minutes=47)
    else:
        assert freeze.start <= start + span
        assert freeze.end > start
        # what is said to clear it does
        assert first_freeze(freeze.end, freeze.end + min(span, timedelta(days=3)), zone, hour) is None


@given(moments, zones, hours)
def test_a_weekend_lasts_two_days_and_its_part_of_friday(moment, zone, hour):
    local = moment.astimezone(zone).date()
    freeze = weekend(local - timedelta(days=local.weekday()), zone, hour)
    length = freeze.end - freeze.start
    assert abs(length - timedelta(days=2, hours=24 - hour)) <= timedelta(hours=1)
