"""Summaries: the same from several parts as from one, and after being stored."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.load_runs import SCENARIO, measured
from wedsync_db.load.engine import Measured
from wedsync_db.load.schedule import Schedule, shard
from wedsync_db.load.summary import Summary, summary_of


def drawn(seed):
    """A run with answers, errors and what was dropped, in no order."""
    rng = np.random.default_rng(seed)
    code = rng.choice([0, 0, 0, 1, 2, -1], size=200).astype(np.int16)
    return measured(
        code=code,
        waited=rng.integers(0, 50_000, 200),
        service=np.where(code < 0, -1, rng.integers(1, 3_000_000, 200)),
        late=rng.random(200) < 0.5,
        errors=("40001", "57014"),
        leaks=3,
    )


def part_of(run, number, of):
    mine = shard(number, of)
    arrays = (one[mine] for one in (run.waited, run.service, run.late, run.code))
    schedule = Schedule(run.schedule.due[mine], run.schedule.script[mine], run.schedule.user[mine])
    leaks = run.leaks if number == 0 else 0
    rest = (run.cpu_seconds / of, run.seconds, run.processes, 1 / of, run.began, run.heartbeats[mine])
    return Measured(run.scenario, schedule, *arrays, run.errors, leaks, *rest)


@given(st.integers(0, 1 << 30), st.integers(1, 5))
def test_the_sum_of_the_parts_is_the_whole(seed, of):
    run = drawn(seed)
    whole = summary_of(run)
    together = Summary.sum([summary_of(part_of(run, number, of)) for number in range(of)])
    assert [plain(one) for one in together.cells.values()] == [plain(one) for one in whole.cells.values()]
    assert [plain(one) for one in together.seconds] == [plain(one) for one in whole.seconds]
    assert together.leaks == whole.leaks
    assert round(together.generator.planned, 6) == whole.generator.planned


@given(st.integers(0, 1 << 30))
def test_it_can_be_stored(seed):
    kept = summary_of(drawn(seed))
    again = Summary.from_bytes(kept.to_bytes())
    assert again.to_bytes() == kept.to_bytes()
    assert (
        list(again.cells) == list(kept.cells) == [(p.name, s.name) for p in SCENARIO.phases for s in SCENARIO.scripts]
    )
    assert [plain(one) for one in again.seconds] == [plain(one) for one in kept.seconds]


def test_each_arrival_is_in_one_cell_and_in_one_second():
    found = summary_of(drawn(1))
    for cells in (found.cells.values(), found.seconds):
        assert sum(one.arrivals for one in cells) == 200
        assert all(one.answered + one.dropped + sum(one.errors.values()) == one.arrivals for one in cells)
        assert all(one.response.count == one.answered + one.dropped for one in cells)


def plain(cell):
    """A cell as values that can be compared; what it was busy is a sum of floats."""
    times = [getattr(cell, name).to_text() for name in ("response", "service", "queue", "failed", "connect")]
    return (cell.arrivals, cell.answered, cell.dropped, round(cell.busy, 6), dict(cell.errors), times)
