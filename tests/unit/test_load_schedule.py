"""Arrivals: as many as the phases say, when they say, and the same for everybody who computes them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wedsync_db.load.schedule import Phase, arrivals, phase_of, schedule, shard

SPIKE = (
    Phase("base", 20, 150, 150),
    Phase("spike", 4, 1500, 1500),
    Phase("quiet", 2, 0, 0),
    Phase("ramp", 10, 0, 300),
)


def test_as_many_as_are_expected_in_each_phase():
    due = arrivals(SPIKE, seed=3)
    counted = np.bincount(phase_of(SPIKE, due), minlength=4)
    for phase, many in zip(SPIKE, counted, strict=True):
        assert abs(many - phase.arrivals) <= 4 * np.sqrt(phase.arrivals), phase.name


def test_gaps_are_those_of_a_poisson_process():
    due = arrivals((Phase("steady", 400, 100, 100),), seed=5)
    gaps = np.diff(due) * 100
    assert gaps.mean() == pytest.approx(1, abs=0.02)
    assert gaps.std() == pytest.approx(1, abs=0.03)  # an exponential's, not that of a fixed interval
    assert np.mean(gaps > 1) == pytest.approx(np.exp(-1), abs=0.01)


def test_a_ramp_is_quadratic_in_time():
    due = arrivals((Phase("ramp", 100, 0, 200),), seed=11)
    assert np.mean(due < 50) == pytest.approx(0.25, abs=0.02)


@given(
    st.lists(st.tuples(st.floats(0.1, 5), st.floats(0, 400), st.floats(0, 400)), min_size=1, max_size=5),
    st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_in_order_within_the_run_and_the_same_again(parts, seed):
    phases = tuple(Phase(str(n), *part) for n, part in enumerate(parts))
    due = arrivals(phases, seed)
    assert np.array_equal(due, arrivals(phases, seed))
    assert np.all(np.diff(due) >= 0)
    assert len(due) == 0 or (due[0] >= 0 and due[-1] <= sum(phase.seconds for phase in phases) + 1e-9)


@given(st.integers(1, 7))
@settings(max_examples=7, deadline=None)
def test_the_parts_of_several_generators_are_the_whole(many):
    whole = schedule(SPIKE, [30, 25, 5], 1000, seed=1)
    parts = [schedule(SPIKE, [30, 25, 5], 1000, seed=1) for _ in range(many)]
    for name in ("due", "script", "user"):
        joined = np.empty_like(getattr(whole, name))
        for number, part in enumerate(parts):
            joined[shard(number, many)] = getattr(part, name)[shard(number, many)]
        assert np.array_equal(joined, getattr(whole, name))


def test_scripts_by_their_share_and_users_alike():
    made = schedule((Phase("steady", 100, 500, 500),), [3, 1], 10, seed=2)
    assert np.mean(made.script == 0) == pytest.approx(0.75, abs=0.01)
    assert np.bincount(made.user, minlength=10) / len(made) == pytest.approx(np.full(10, 0.1), abs=0.01)
