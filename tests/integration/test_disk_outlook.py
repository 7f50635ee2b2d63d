"""A disk that fills up is told before it is full, by its own history."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from wedsync_db.history.disk import days_until_full, with_forecast
from wedsync_db.history.samples import store, tidy
from wedsync_db.history.store import open_history
from wedsync_db.monitor.judge import judge
from wedsync_db.monitor.metrics import Metric, Sample
from wedsync_db.monitor.observed import observed
from wedsync_db.monitor.states import State
from wedsync_db.monitor.thresholds import THRESHOLDS
from wedsync_db.settings import HistorySettings

NOW = datetime(2026, 6, 7, 23, 58, tzinfo=UTC)
FREE = Metric("disk_free", "gauge", "ratio")


def free(ratio):
    return judge("disk_free", THRESHOLDS["disk_free"], ratio, "x MiB free")


def test_it_is_the_series_that_health_keeps():
    assert FREE in observed([free(0.5)], NOW)


@pytest.mark.parametrize(
    ("days", "likely"), [(6, None), (10, 10.0)], ids=["too few days to tell", "a fiftieth of it each day"]
)
def test_the_days_left_are_told_from_a_week_on(address, days, likely):
    with open_history(address) as history:
        for day in range(days):
            at = NOW - timedelta(days=days - day)
            store(history, "case", Sample(at, "fast", "0" * 32, {FREE: 0.2 + (days - 1 - day) * 0.02}, ()))
        tidy(history, HistorySettings(), NOW)
        found = days_until_full(history, "case", NOW)
    assert found == likely if likely is None else found == pytest.approx((likely, likely))


@pytest.mark.parametrize(
    ("ratio", "days", "state"),
    [
        (0.5, None, State.HEALTHY),
        (0.5, (5.0, 8.0), State.HEALTHY),
        (0.5, (math.inf, math.inf), State.HEALTHY),
        (0.5, (5.0, 6.5), State.DEGRADED),
        (0.5, (0.2, 0.9), State.UNHEALTHY),
        (0.05, (5.0, 6.5), State.UNHEALTHY),
    ],
)
def test_a_disk_is_as_bad_as_it_soon_will_be(ratio, days, state):
    other = judge("connections", THRESHOLDS["connections"], 0.1)
    same, one = with_forecast((other, free(ratio)), days)
    assert (same, one.state) == (other, state)
    assert ("days" in one.evidence[-1]) is (days is not None and days[1] < 7)
