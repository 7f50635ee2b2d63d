"""Histograms: within 0.4 % of the value, and exact to the bin however they are added up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.load.histogram import Histogram, bins_of, middle_of

values = st.lists(st.integers(0, 3_600_000_000), min_size=1, max_size=300).map(lambda v: np.asarray(v, dtype=np.int64))


def same(one, other):
    return np.array_equal(one.bins, other.bins) and np.array_equal(one.counts, other.counts)


@given(values)
def test_a_bin_is_near_its_values(found):
    middle = middle_of(bins_of(found))
    assert np.all(np.abs(middle - found) <= found * 0.004 + 0.5)


@given(values)
def test_greater_values_are_in_no_lower_bin(found):
    assert np.all(np.diff(bins_of(np.sort(found))) >= 0)


@given(values, st.sampled_from([50, 95, 99, 99.9, 100]))
def test_percentiles_are_those_of_the_sorted_values(found, percent):
    rank = max(1, int(np.ceil(len(found) * percent / 100 - 1e-9)))
    exact = np.sort(found)[rank - 1] / 1000
    assert Histogram.of(found).percentile(percent) == pytest.approx(exact, rel=0.004, abs=0.0006)


@given(values, values)
def test_a_sum_is_that_of_all_values(one, other):
    both = Histogram.sum([Histogram.of(one), Histogram.of(other)])
    assert same(both, Histogram.of(np.concatenate([one, other])))


@given(values)
def test_it_can_be_stored(found):
    kept = Histogram.of(found)
    assert same(Histogram.from_text(kept.to_text()), kept)


def test_nothing_has_no_percentile():
    empty = Histogram.sum([])
    assert (empty.percentile(95), empty.mean(), empty.count) == (None, None, 0)
    assert Histogram.from_text(empty.to_text()).count == 0


@given(values, st.integers(0, 3_600_000))
def test_those_above_a_limit_are_counted(found, limit):
    counted = Histogram.of(found).above(limit)
    assert (found > limit * 1004 + 1).sum() <= counted <= (found > limit * 996 - 1).sum()
