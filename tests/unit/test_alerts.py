"""One transition, however the value trembles; nothing is missed, nothing is told twice."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from wedsync_db.monitor.alerts import REACHABLE, Phase, Silence, step
from wedsync_db.monitor.states import Checked, State
from wedsync_db.monitor.thresholds import THRESHOLDS

START = datetime(2026, 6, 3, tzinfo=UTC)
LIMITS = {**THRESHOLDS, REACHABLE: replace(THRESHOLDS["connections"], for_seconds=0)}


def judged(name, value, subject=""):
    """What health makes of a value."""
    limit = LIMITS[name]
    over = [
        state
        for state, bound in ((State.DEGRADED, limit.degraded), (State.UNHEALTHY, limit.unhealthy))
        if bound is not None and value is not None and (value > bound if limit.higher_is_worse else value < bound)
    ]
    state = State.UNKNOWN if value is None else [State.HEALTHY, *over][-1]
    return Checked(name, state, value, limit.unit, (), subject, limit.degraded, limit.unhealthy)


def run(name, values, *, silences=(), every=60, found=None):
    """Minutes of values; what people were told, with the minute."""
    alerts, told = {}, []
    for number, value in enumerate(values):
        now = START + timedelta(seconds=number * every)
        looked = found(number) if found else [judged(name, value)]
        alerts, notices = step(alerts, looked, LIMITS, now=now, silences=silences)
        told += [(number, notice.what, notice.alert.state) for notice in notices]
    return told, alerts


def test_a_day_around_a_threshold_is_one_transition():
    chance = random.Random(20260603)
    noisy = [0.80 + chance.gauss(0.005, 0.01) for _ in range(24 * 60 - 60)]
    crossings = sum((a > 0.8) != (b > 0.8) for a, b in itertools.pairwise(noisy))
    told, _ = run("connections", [*[0.5] * 30, *[0.85] * 15, *noisy])
    assert crossings > 300
    assert [what for _, what, _ in told] == ["firing"]


@pytest.mark.parametrize(
    ("name", "level"),
    [(n, level) for n in THRESHOLDS for level in ("degraded", "unhealthy") if getattr(THRESHOLDS[n], level)],
)
def test_a_day_around_any_limit_is_one_transition(name, level):
    """As one value trembles by a hundredth around each limit, after it was clearly beyond it."""
    limit, chance = LIMITS[name], random.Random(20260603)
    bound, sign = getattr(limit, level), 1 if limit.higher_is_worse else -1
    trembling = [bound * (1 + sign * chance.gauss(0.002, 0.01)) for _ in range(24 * 60)]
    beyond = [bound * (1 + sign * 0.03)] * (limit.for_seconds // 60 + 15)
    good = [0.0 if limit.higher_is_worse else 1.0] * 5
    crossings = sum((a > bound) != (b > bound) for a, b in itertools.pairwise(trembling))
    told, _ = run(name, [*good, *beyond, *trembling])
    assert crossings > 300
    assert [(what, state.value) for minute, what, state in told if minute < 24 * 60] == [("firing", level)]
    assert {what for _, what, _ in told} <= {"firing", "still firing"}


@pytest.mark.parametrize(
    ("name", "level"),
    [
        (n, level)
        for n in THRESHOLDS
        for level in ("degraded", "unhealthy")
        if getattr(THRESHOLDS[n], level) is not None
    ],
)
def test_each_limit_fires_on_its_series_and_clears(name, level):
    """The series that drive the rules for Prometheus: good, then just beyond the limit, then good again."""
    limit = LIMITS[name]
    bound = getattr(limit, level)
    good, bad = (0.0, bound * 1.02 + 1e-6) if limit.higher_is_worse else (1.0, bound * 0.98)
    told, _ = run(name, [*[good] * 30, *[bad] * 90, *[good] * 120])
    lasts = round(limit.for_seconds / 60 * 0.8)
    assert [(minute, what, state.value) for minute, what, state in told] == [
        (30 + lasts if lasts else 30, "firing", level), (125, "resolved", "healthy"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", [n for n, t in LIMITS.items() if n != REACHABLE])
def test_each_rule_fires_and_clears_on_its_series(name):
    limit = LIMITS[name]
    bound = limit.degraded if limit.degraded is not None else limit.unhealthy
    good, bad = (0.0, bound + 1) if limit.higher_is_worse else (1.0, bound - 0.04)
    minutes = limit.for_seconds // 60 + 3
    told, alerts = run(name, [*[good] * 5, *[bad] * minutes, *[good] * 10])
    assert [what for _, what, _ in told] == ["firing", "resolved"]
    assert all(alert.phase is Phase.QUIET for alert in alerts.values())


def test_it_takes_most_of_the_time_that_was_asked_for():
    told, _ = run("connections", [*[0.85] * 6, *[0.5] * 20])
    assert told == []
    told, _ = run("connections", [0.85] * 12)
    assert told == [(8, "firing", State.DEGRADED)]


def test_what_gets_worse_is_told_again_and_what_gets_better_is_not():
    told, _ = run("blocked", [5, 15, 20, 90, 90, 30, 20, 15])
    assert told == [(1, "firing", State.DEGRADED), (3, "worse", State.UNHEALTHY)]


def test_it_is_over_only_after_minutes_of_calm():
    told, _ = run("blocked", [15, 0, 0, 0, 9.5, 0, 0, 0, 0, 0, 0])
    assert told == [(0, "firing", State.DEGRADED), (10, "resolved", State.HEALTHY)]


def test_what_goes_on_for_a_day_is_told_once_a_day():
    told, _ = run("blocked", [15] * (3 * 24 * 60))
    assert [(minute, what) for minute, what, _ in told] == [
        (0, "firing"), (1440, "still firing"), (2880, "still firing"),
    ]  # fmt: skip


def test_missing_data_is_an_alert_of_its_own():
    told, _ = run("blocked", [*[0] * 3, *[None] * 12, *[0] * 3])
    assert told == [(13, "firing", State.UNKNOWN), (15, "resolved", State.HEALTHY)]


def test_missing_data_neither_fires_nor_clears():
    told, _ = run("blocked", [15, None, None, None, None, None, None, None, 15])
    assert told == [(0, "firing", State.DEGRADED)]


def test_a_server_that_is_gone_hides_the_rest():
    def found(minute):
        if 5 <= minute < 30:
            return [Checked(REACHABLE, State.UNHEALTHY, None, "")]
        return [Checked(REACHABLE, State.HEALTHY, None, ""), judged("blocked", 0), judged("rollbacks", 0)]

    told, _ = run("", range(40), found=found)
    assert [(minute, what) for minute, what, _ in told] == [(5, "firing"), (35, "resolved")]


def test_a_silence_is_kept_and_ends():
    silence = Silence("block*", "*", START + timedelta(minutes=30), "index is built", "ann")
    told, _ = run("blocked", [15] * 40, silences=[silence])
    assert told == [(30, "firing", State.DEGRADED)]


def test_what_was_silenced_all_the_time_is_not_resolved_either():
    silence = Silence("blocked", "*", START + timedelta(minutes=30), "index is built", "ann")
    told, _ = run("blocked", [*[15] * 10, *[0] * 30], silences=[silence])
    assert told == []


def test_a_silence_is_for_what_it_names():
    silence = Silence("rollbacks", "*", START + timedelta(days=1), "x", "ann")
    told, _ = run("blocked", [15], silences=[silence])
    assert [what for _, what, _ in told] == ["firing"]


def test_a_subject_that_is_gone_is_over_and_forgotten():
    def found(minute):
        return [judged("idle_in_transaction", 100, f"pid {pid}") for pid in (1, 2) if minute < 5 * pid]

    told, alerts = run("", range(20), found=found)
    assert [what for _, what, _ in told] == ["firing", "firing", "resolved", "resolved"]
    assert alerts == {}
