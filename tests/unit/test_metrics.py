"""Two samples become deltas and rates, and only where that means anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wedsync_db.monitor.metrics import Metric, Sample, deltas, rates
from wedsync_db.monitor.states import Checked, State, overall
from wedsync_db.monitor.thresholds import THRESHOLDS, limits

NOW = datetime(2026, 6, 6, 12, 0, tzinfo=UTC)
COMMITS = Metric("xact_commit", "counter", "transactions")
SESSIONS = Metric("connections", "gauge", "connections")


def sample(seconds, epoch="a", **values):
    names = {"commits": COMMITS, "sessions": SESSIONS}
    return Sample(NOW + timedelta(seconds=seconds), "fast", epoch, {names[name]: v for name, v in values.items()})


def test_counters_grow_and_gauges_do_not_count():
    before, after = sample(0, commits=100.0, sessions=5.0), sample(60, commits=400.0, sessions=9.0)
    assert deltas(before, after) == {COMMITS: 300.0}
    assert rates(before, after) == {COMMITS: 5.0}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (sample(0, commits=100.0), sample(60, "b", commits=400.0)),  # another epoch
        (sample(60, commits=100.0), sample(0, commits=400.0)),  # time went back
        (sample(0, commits=400.0), sample(60, commits=100.0)),  # it fell
        (sample(0, commits=None), sample(60, commits=100.0)),  # it was unknown
        (sample(0, commits=1.0), sample(60, commits=None)),  # it is unknown
        (sample(0), sample(60, commits=100.0)),  # it was not there
    ],
)
def test_what_cannot_be_subtracted_is_left_out(before, after):
    assert deltas(before, after) == {}


def state(name):
    return Checked("x", State[name], None, "")


@pytest.mark.parametrize(
    ("found", "whole"),
    [
        ([], "UNKNOWN"),
        (["UNKNOWN"], "UNKNOWN"),
        (["HEALTHY", "UNKNOWN"], "DEGRADED"),
        (["HEALTHY", "DEGRADED"], "DEGRADED"),
        (["UNKNOWN", "UNHEALTHY"], "UNHEALTHY"),
        (["HEALTHY", "HEALTHY"], "HEALTHY"),
    ],
)
def test_the_whole_is_as_bad_as_its_worst_and_unknown_is_never_healthy(found, whole):
    assert overall(map(state, found)) is State[whole]


def test_an_environment_overrides_limits_by_name():
    chosen = limits({"connections": {"degraded": 0.5}, "disk_free": {"off": True}})
    assert chosen["connections"].degraded == 0.5
    assert chosen["connections"].unhealthy == THRESHOLDS["connections"].unhealthy
    assert "disk_free" not in chosen
    assert chosen["wraparound"] == THRESHOLDS["wraparound"]
