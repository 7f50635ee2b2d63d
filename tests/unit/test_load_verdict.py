"""The verdict: passed only where the next run would, too; and never because something was not measured."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wedsync_db.load.criteria import Criterion
from wedsync_db.load.statistics import (
    detectable,
    interval,
    is_steady,
    slower,
    slower_pairs,
    spread_of,
    warm_up,
)
from wedsync_db.load.verdict import Verdict, judge

P95 = Criterion("response_ms", "p", "<", 50, 95)
ERRORS = Criterion("errors", "rate", "<", 0.001)


@pytest.mark.parametrize("metric", ["response_ms", "service_ms", "queue_ms", "connect_ms"])
@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((10, 11, 10.5, 9.9, 10.2), "PASS"),
        ((80, 85, 82, 88, 81), "FAIL"),
        ((30, 70, 45, 60, 38), "INCONCLUSIVE"),
        ((49, 49.5, 49.2, 49.1, 52), "INCONCLUSIVE"),
        ((10,), "INCONCLUSIVE"),
        ((10, None, 10), "INVALID"),
        ((0.0, 0.0), "PASS"),
        ((0.0, 60.0), "INCONCLUSIVE"),
    ],
)
def test_a_percentile(metric, values, verdict):
    result = judge([replace(P95, metric=metric)], [[value] for value in values])
    assert (result.verdict, result.judged[0].values) == (Verdict(verdict), values)


def test_what_is_counted_has_to_be_right_in_each_run():
    assert judge([ERRORS], [[0.0], [0.0005]]).verdict is Verdict.PASS
    failed = judge([ERRORS], [[0.0], [0.002], [0.0]])
    assert (failed.verdict, failed.judged[0].why) == (Verdict.FAIL, "not so in 1 of 3 runs")


def test_the_worst_criterion_decides_and_a_doubt_decides_before_it():
    good, bad = [10.0, 0.0], [10.2, 0.5]
    assert judge([P95, ERRORS], [good, good]).verdict is Verdict.PASS
    assert judge([P95, ERRORS], [good, bad]).verdict is Verdict.FAIL
    assert judge([P95, ERRORS], [good, bad], ["the generator was late"]).verdict is Verdict.INVALID


def test_the_interval_holds_the_true_value_as_often_as_it_says():
    rng = np.random.default_rng(1)
    found = [interval(np.exp(rng.normal(3, 0.3, 5))) for _ in range(1000)]
    assert np.mean([one.low < np.exp(3) < one.high for one in found]) == pytest.approx(0.95, abs=0.02)


def test_one_run_and_zeros_have_none():
    assert interval([3.0]) is interval([1.0, 0.0]) is None


def test_false_alarms_are_as_rare_and_power_is_as_high_as_said():
    rng = np.random.default_rng(2)

    def runs(slowed, many):
        return np.exp(rng.normal(np.log(slowed), 0.08, many))

    alarms = [slower(runs(1, 5), runs(1, 10))[1] < 0.05 for _ in range(400)]
    assert np.mean(alarms) < 0.09
    factor = detectable(0.08, 5, 10)
    found = [slower(runs(factor, 5), runs(1, 10))[1] < 0.05 for _ in range(400)]
    assert np.mean(found) > 0.75  # one-sided, so more than the four of five it promises for two
    ratio, _ = slower(runs(1.5, 50), runs(1, 50))
    assert ratio == pytest.approx(1.5, rel=0.1)


def test_pairs_are_compared_within():
    before = np.asarray([10.0, 100, 1000, 20, 200, 2000, 30, 300])
    ratio, chance = slower_pairs(before, before * [1.3, 1.25, 1.35, 1.28, 1.32, 1.3, 1.27, 1.31])
    assert ratio == pytest.approx(1.3, abs=0.02)
    assert chance < 0.01
    assert slower_pairs(before, before) == (1.0, 1.0)


@given(st.floats(0.01, 2), st.integers(2, 20), st.integers(2, 20))
def test_more_runs_see_more(spread, runs, others):
    assert 1 < detectable(spread, runs + 1, others) < detectable(spread, runs, others)


def test_the_spread_is_that_within_the_groups():
    assert spread_of([1.0, np.e]) == pytest.approx(np.sqrt(0.5))
    assert np.isnan(spread_of([1.0]))


@given(st.integers(2, 6))
@settings(max_examples=5)
def test_warming_up_is_cut_off(blocks):
    rng = np.random.default_rng(blocks)
    cold, warm = rng.normal(50, 1, blocks * 5), rng.normal(10, 1, 60)
    assert blocks * 5 <= warm_up([*cold, *warm]) <= blocks * 5 + 20
    assert warm_up([1.0, 2.0]) == 0


def test_steady_is_when_both_halves_are_alike():
    assert is_steady([10, 11, 10, 10.5])
    assert not is_steady([10, 10, 14, 15])
    assert not is_steady([10])
