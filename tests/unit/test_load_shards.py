"""A run by several generators: who does what, when by whose clock, and what is said of each. Nothing runs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.load_runs import SCENARIO, measured
from wedsync_db.errors import Inconclusive, UsageError
from wedsync_db.load import shards
from wedsync_db.load.board import Seat
from wedsync_db.load.measure import doubts
from wedsync_db.load.options import Options
from wedsync_db.load.scenario import read_scenario, shipped
from wedsync_db.load.shard_plan import (
    Probe,
    by_our_clock,
    from_plain,
    part_of,
    require_shards,
    schedule_digest,
    to_plain,
    together,
)
from wedsync_db.load.summary import summary_of
from wedsync_db.load.worker import Progress

NOTHING = Progress(0, 0, 0, None)


@given(st.integers(1, 200), st.integers(0, 3000), st.integers(1, 64))
def test_all_together_have_no_more_connections_than_one_alone(pool, more, of):
    scenario = replace(SCENARIO, pool=pool, clients=pool + more, connections="pgbouncer")
    parts = [part_of(scenario, number, of) for number in range(of)]
    assert sum(one.pool for one in parts) == pool
    assert sum(one.held for one in parts if one.pool) == pool + more or of > pool
    assert all(one.clients >= one.pool for one in parts)
    assert max(one.pool for one in parts) - min(one.pool for one in parts) <= 1


@pytest.mark.parametrize("name", shipped())
def test_a_scenario_arrives_as_it_was_sent(name):
    scenario = read_scenario(shipped()[name])
    assert from_plain(json.loads(json.dumps(to_plain(scenario)))) == scenario


def test_another_schedule_has_another_digest():
    assert schedule_digest(SCENARIO, 1) == schedule_digest(SCENARIO, 1)
    others = [
        schedule_digest(SCENARIO, 2),
        schedule_digest(replace(SCENARIO, users=11), 1),
        schedule_digest(replace(SCENARIO, phases=SCENARIO.phases[:1]), 1),
    ]
    assert len({schedule_digest(SCENARIO, 1), *others}) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(shards=0), "1 to 64"),
        (Options(shards=65), "1 to 64"),
        (Options(shards=3), "3 shards cannot share a pool of 2"),
        (Options(shards=2, engine="pgbench"), "threads of our own"),
        (Options(shards=2, calibrate=True), "threads of our own"),
        (Options(shards=2, copy="newest"), "reaches a scratch server"),
    ],
)
def test_what_cannot_be_split_up_is_refused(options, said):
    with pytest.raises(UsageError, match=said):
        require_shards(SCENARIO, options)


@given(st.floats(-1e6, 1e6), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_the_server_s_clock_is_known_to_half_of_the_quickest_answer(ahead, journeys):
    """A server whose clock is so far ahead of ours, asked in journeys of so long there and so long back."""
    probes = [Probe(n, n + there + ahead, n + there + back) for n, (there, back) in enumerate(journeys)]
    begin, error = by_our_clock(1000.0 + ahead, probes)
    assert abs(begin - 1000.0) <= error + 1e-6
    assert error <= min(there + back for there, back in journeys) / 2 + 1e-6


def test_one_bad_generator_is_not_hidden_by_good_ones():
    good = measured(heartbeats=np.full(100_000, 100))
    bad = measured(heartbeats=np.full(100, 50_000))
    found = together(SCENARIO, [summary_of(good), summary_of(bad), summary_of(good)], ["one", "two", "three"])
    assert [one for one in doubts(SCENARIO.criteria, found) if "woken" in one] == [
        "shard 2 of 3 (two): the generator's processes were woken 50.0 ms late (p99): the machine is too busy"
    ]
    alone = together(SCENARIO, [summary_of(good)] * 2, ["one", "two"])
    assert doubts(SCENARIO.criteria, alone) == ()


class There:
    """A board on which this is seen, one look after the other; the last goes on."""

    shards = 2

    def __init__(self, *looks):
        self._looks = list(looks)
        self.stopped = 0

    def look(self):
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]

    def stop(self):
        self.stopped += 1

    def results(self):
        return ["what was measured"]


def seat(number, state="ready", lives=True, problem=None):
    return Seat(number, f"w{number}", state, NOTHING, problem, lives)


@pytest.fixture
def quick(monkeypatch):
    for name in ("_POLL_SECONDS", "_TELL_SECONDS"):
        monkeypatch.setattr(shards, name, 0.0)


@pytest.mark.usefixtures("quick")
def test_a_shard_whose_session_is_gone_is_lost():
    with pytest.raises(Inconclusive, match=r"shard 2 of 2 \(w2\) was lost"):
        shards._ready(There((seat(1, "joined"), seat(2, lives=False))), lambda: None)


@pytest.mark.usefixtures("quick")
def test_a_shard_that_ended_while_we_looked_is_not_lost():
    looks = [(seat(1, "done", lives=False), seat(2, lives=False)), (seat(1, "done"), seat(2, "done", lives=False))]
    assert shards._measured(There(*looks), 60, lambda _: True) == ["what was measured"]


@pytest.mark.usefixtures("quick")
def test_who_is_told_to_stop_still_gives_what_was_measured():
    there, progress = There(*[(seat(1), seat(2))] * 3, (seat(1, "done"), seat(2, "done"))), []
    assert shards._measured(there, 60, progress.append) == ["what was measured"]
    assert (there.stopped, len(progress)) == (1, 3)


@pytest.mark.usefixtures("quick")
def test_a_shard_that_does_not_end_is_told_of():
    told = []
    with pytest.raises(Inconclusive, match=r"shard 1 of 2 \(w1\) does not come to an end"):
        shards._measured(There((seat(1), seat(2, "done"))), 0.3, lambda one: told.append(one) or True)
    assert told
