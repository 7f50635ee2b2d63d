"""A runner killed at every statement it sends: deploying, rolling back and recovering, while clients write and read."""

from __future__ import annotations

import random

import pytest

from tests.support.before_or_after import Killed, killed
from tests.support.boundaries import boundaries, last
from tests.support.killed_plans import PLANS
from tests.support.majors import MAJORS
from tests.support.runners import KILLED, Boundary, runners

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3000)]
_ALL_AT = 200  # as many random moments as this allows for, and every boundary is tried; fewer, fewer
# the older servers where they differ most
_TRIED = [*((18, plan) for plan in PLANS), *((major, "outside of transactions") for major in MAJORS if major != 18)]
_COMMIT = "migrate/run:_commit"


@pytest.fixture
def target(plan, case, tmp_path, record_property):
    environment, lay = PLANS[plan]
    with runners(tmp_path) as forked, killed(case, environment, forked, lay) as target:
        yield target
        record_property("killed at a boundary", target.figures())


@pytest.fixture
def share(request, major) -> float:
    """Of the boundaries at which nothing is committed. A short run has no time for the older servers."""
    moments = request.config.getoption("moments")
    if major != 18 and moments < _ALL_AT:
        pytest.skip(f"with --moments {_ALL_AT} or more")
    return min(1.0, moments / _ALL_AT) ** 2


@pytest.mark.parametrize(("major", "plan"), _TRIED, indirect=["major"])
def test_killed_at_every_boundary(share, target: Killed):
    rng = random.Random(1)
    trips = target.run("carry_out").trips
    target.take_back()
    for boundary in boundaries(trips, share, rng):
        target.judge(target.run("carry_out", boundary), f"deploying: {boundary}")

    _kill_recovery(target, last(trips, _COMMIT), "after", share, rng)
    commits = sum(trip.place.startswith(_COMMIT) for trip in trips)
    left = last(trips, _COMMIT, but=1) if commits > 1 else last(trips, "migrate/ledger:record")
    _kill_recovery(target, left, "before", share, rng)
    _kill_roll_back(target, share, rng)


def _kill_recovery(target: Killed, left: Boundary, end: str, share: float, rng: random.Random) -> None:
    """Kill the recovery of a deployment that was killed itself; the next one brings it to the same end."""
    assert target.run("carry_out", left).code == KILLED
    whole = target.run("recover")
    assert target.judge(whole, f"recovered: {left}") == end
    for boundary in boundaries(whole.trips, share, rng):
        assert target.run("carry_out", left).code == KILLED
        where = f"recovering: {boundary}, what was left by a kill: {left}"
        assert target.judge(target.run("recover", boundary), where) == end


def _kill_roll_back(target: Killed, share: float, rng: random.Random) -> None:
    """Kill what follows a failure; there is only one end to that."""
    target.case.rows("insert into public.switch values (now()) returning on_at")
    whole = target.run("undo")
    assert whole.code == 1
    assert target.judge(whole, "rolled back") == "before"
    for boundary in boundaries(whole.trips, share, rng):
        assert target.judge(target.run("undo", boundary), f"rolling back: {boundary}") == "before"
