"""A trend that outliers do not bend, with limits that hold as often as they say."""

from __future__ import annotations

import math
import random

import pytest

from wedsync_db.history.forecast import growth

DAYS = list(range(30))


def test_a_straight_line_is_found_exactly():
    found = growth(DAYS, [100 + 5 * day for day in DAYS])
    assert (found.per_day, found.lowest, found.highest, found.level) == pytest.approx((5, 5, 5, 245))
    assert found.days_until(345) == pytest.approx((20, 20))


def test_one_bad_night_does_not_bend_it():
    values = [100 + 5 * day for day in DAYS]
    values[12] = 10_000
    assert growth(DAYS, values).per_day == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize("values", [[], [1.0] * 6, [math.nan] * 30])
def test_too_little_is_no_trend(values):
    assert growth(list(range(len(values))), values) is None


def test_what_does_not_grow_is_never_full():
    assert growth(DAYS, [100 - day for day in DAYS]).days_until(1000) == (math.inf, math.inf)
    assert growth(DAYS, [100] * 30).days_until(1000) == (math.inf, math.inf)


def test_what_is_full_already_takes_no_days():
    assert growth(DAYS, [100 + day for day in DAYS]).days_until(50) == (0, 0)


def test_the_limits_hold_nine_times_of_ten():
    chance = random.Random(7)
    held = 0
    for _ in range(200):
        found = growth(DAYS, [50 + 3 * day + chance.gauss(0, 4) for day in DAYS])
        held += found.lowest <= 3 <= found.highest
    assert held >= 170
