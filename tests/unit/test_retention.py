"""Which backups may go: never the good one, whatever clock and nights do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.backup.retention import Stored, judge
from wedsync_db.settings import RetentionSettings

NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)
SETTINGS = RetentionSettings(keep_days=14, keep_weeks=4, keep_months=3)


def nightly(count, progress="verified", now=NOW):
    """One a night, the newest tonight."""
    return [Stored(f"b{n:03}", now - timedelta(days=n), progress) for n in reversed(range(count))]


def staying(stored, now=NOW, pinned=()):
    return {v.id: v.reason for v in judge(stored, SETTINGS, now=now, pinned=pinned) if v.stays}


def test_days_weeks_and_months_stay():
    stays = staying(nightly(200))
    assert {f"b{n:03}" for n in range(14)} <= stays.keys()
    assert stays["b014"] == "the newest of week 21 of 2026"
    assert stays["b021"] == "the newest of week 20 of 2026"
    assert stays["b038"] == "the newest of April 2026"
    assert len(stays) == 17


@pytest.mark.parametrize(
    ("newest", "reason"),
    [
        (Stored("new", NOW, "complete"), "the newest backup is not verified yet: nothing goes before it is"),
        (
            Stored("new", NOW + timedelta(days=400), "verified"),
            "the newest backup is from the future: a clock is wrong",
        ),
    ],
)
def test_nothing_goes_while_something_is_wrong(newest, reason):
    stored = [*nightly(100)[:-1], newest]
    assert set(staying(stored).values()) == {reason}
    assert len(staying(stored)) == 100


def test_nothing_goes_before_anything_was_verified():
    assert len(staying(nightly(100, "complete"))) == 100


def test_bad_nights_push_nothing_out():
    """Backups that nobody could verify count for nothing, however many there are."""
    good = Stored("good", NOW - timedelta(days=60), "restored")
    unverified = nightly(40, "complete")[:-1]
    stays = staying([good, *unverified, Stored("tonight", NOW, "verified")])
    assert stays["good"] == "the newest that was restored and compared"


def test_a_clock_that_jumped_ahead_deletes_nothing_more():
    stored = nightly(40)
    assert staying(stored, now=NOW + timedelta(days=4000)) == staying(stored)


def test_what_an_open_deployment_may_need_stays():
    stays = staying(nightly(200), pinned=["b150"])
    assert stays["b150"] == "an open deployment may need it"


def test_what_goes_is_told_why():
    (verdict,) = [v for v in judge(nightly(200), SETTINGS, now=NOW) if v.id == "b150"]
    assert not verdict.stays
    assert verdict.reason.startswith("older than 14 days")


STORED = st.lists(
    st.builds(
        Stored,
        st.uuids().map(str),
        st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 hypothesis wants it
        st.sampled_from(["complete", "verified", "restored"]),
    ),
    max_size=60,
    unique_by=lambda one: one.id,
)


@given(stored=STORED, now=st.datetimes(datetime(2019, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_good_ones_always_stay(stored, now):
    stays = staying(stored, now=now)
    for progress in (("restored",), ("verified", "restored")):
        proven = [one for one in stored if one.progress in progress]
        if proven:
            assert max(proven, key=lambda one: (one.created_at, one.id)).id in stays
    assert len(judge(stored, SETTINGS, now=now)) == len(stored)
