"""A night's work: what comes first, what is left alone, and what the counters say became of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.maintain.plan import Candidate, Counters, judged, plan
from wedsync_db.settings import MaintenanceSettings

SETTINGS = MaintenanceSettings()
MB = 1_000_000


def planned(*candidates, budget=3600.0, before=None):
    work, left = plan(candidates, SETTINGS, budget_seconds=budget, took_before=before or {})
    return [w.table for w in work], {one.table: one.reason for one in left}


def test_what_was_asked_for_comes_first_then_freezing_then_need():
    work, left = planned(
        Candidate("little", "vacuum", 1.1, MB),
        Candidate("stale", "analyze", 50, MB),
        Candidate("much", "vacuum", 9, MB),
        Candidate("old", "freeze", 800, MB),
        Candidate("asked", "vacuum", 0, MB, requested=True),
    )
    assert work == ["asked", "old", "much", "little", "stale"]
    assert left == {}


def test_hot_and_running_tables_are_left_alone_but_freezing_does_not_wait():
    work, left = planned(
        Candidate("hot", "vacuum", 9, MB, changes_per_minute=20_000),
        Candidate("old", "freeze", 900, MB, changes_per_minute=20_000),
        Candidate("busy", "vacuum", 9, MB, running=True),
        Candidate("unknown", "vacuum", 9, MB, changes_per_minute=None),
    )
    assert work == ["old", "unknown"]
    assert left == {"hot": "hot", "busy": "running"}


def test_a_short_piece_fits_where_a_long_one_did_not():
    before = {("long", "vacuum"): 100.0, ("short", "vacuum"): 10.0}
    work, left = planned(
        Candidate("long", "vacuum", 9, MB), Candidate("short", "vacuum", 2, MB), budget=60, before=before
    )
    assert work == ["short"]
    assert left == {"long": "over_budget"}


def test_freezing_is_begun_however_long_it_takes():
    before = {("old", "freeze"): 10_000.0, ("older", "freeze"): 10_000.0}
    one, other = Candidate("older", "freeze", 900, MB), Candidate("old", "freeze", 800, MB)
    work, left = planned(one, other, Candidate("much", "vacuum", 9, MB), budget=60, before=before)
    assert work == ["older"]
    assert left == {"old": "over_budget", "much": "over_budget"}


def test_what_nobody_timed_is_estimated_by_its_size():
    work, _ = plan([Candidate("t", "vacuum", 2, 500 * MB)], SETTINGS, budget_seconds=3600, took_before={})
    assert work[0].seconds == pytest.approx(15)


@given(
    st.lists(
        st.builds(
            Candidate,
            st.text(min_size=1, max_size=5),
            st.sampled_from(["freeze", "vacuum", "analyze"]),
            st.floats(0, 1000),
            st.integers(0, 10**12),
        ),
        max_size=30,
    ),
    st.floats(0, 10_000),
)
def test_the_budget_is_kept_and_nothing_is_lost(candidates, budget):
    work, left = plan(candidates, SETTINGS, budget_seconds=budget, took_before={})
    assert sum(one.seconds for one in work) <= budget
    assert len(work) + len(left) == len(candidates)


BEFORE = Counters(vacuums=3, analyzes=5, dead_rows=5000, xid_age=900)


@pytest.mark.parametrize(
    ("action", "after", "warnings", "outcome"),
    [
        ("vacuum", Counters(4, 5, 0, 900), [], "done"),
        ("vacuum", Counters(4, 5, 5000, 900), [], "blocked_by_xmin"),
        ("vacuum", Counters(3, 5, 5000, 900), ["01000"], "denied"),
        ("vacuum", Counters(3, 5, 5000, 900), ["55P03"], "skipped_locked"),
        ("vacuum", Counters(3, 5, 5000, 900), [], "failed"),
        ("analyze", Counters(3, 6, 5000, 900), [], "done"),
        ("analyze", Counters(3, 5, 5000, 900), ["01000"], "denied"),
        ("freeze", Counters(4, 5, 0, 10), [], "done"),
        ("freeze", Counters(4, 5, 0, 950), [], "blocked_by_xmin"),
    ],
)
def test_counters_say_what_became_of_it(action, after, warnings, outcome):
    assert judged(action, BEFORE, after, warnings) == outcome
