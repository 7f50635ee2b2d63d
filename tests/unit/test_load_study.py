"""What comparisons of real runs find: of the same build twice, and of a slower one (see bench/load_study.py)."""

import json
from functools import cache

import pytest

from bench.load_study import DATA, drawn_earlier, drawn_pairs, shares
from wedsync_db.load.compare import USUAL

P50 = USUAL[0]
MANY = 200  # the bench draws more


@pytest.fixture(scope="module")
def times():
    found = json.loads(DATA.read_text())
    assert {name: len(runs) >= 20 for name, runs in found.items()} == {"same": True, "again": True, "slower": True}
    return found


@pytest.fixture(scope="module")
def found(times):
    """What comparisons of these kinds find; each is drawn once, as it takes seconds."""
    return cache(lambda asked, compare: shares(times, asked, compare, MANY))


@pytest.mark.parametrize("asked", USUAL, ids=["p50", "p95"])
@pytest.mark.parametrize("compare", [drawn_pairs, drawn_earlier])
def test_the_same_build_is_hardly_ever_called_slower(found, asked, compare):
    alarms, _, _ = found(asked, compare)
    assert alarms <= 0.05


@pytest.mark.parametrize("compare", [drawn_pairs, drawn_earlier])
def test_a_build_that_is_slower_by_30_percent_is_found(found, compare):
    _, power, _ = found(P50, compare)
    assert power >= 0.90


def test_and_the_faster_one_of_the_two_is_not(times):
    turned = {"same": times["slower"], "again": times["slower"], "slower": times["same"]}
    _, found, _ = shares(turned, P50, drawn_pairs, MANY)
    assert found == 0
