"""Whether our generator and pgbench see the same: a short run of both, at the scenario's own rate, in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from wedsync_db.load import engine, pgbench
from wedsync_db.load.engine import Measured
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Phase, mean_rate
from wedsync_db.load.worker import ANSWERED
from wedsync_db.postgres.session import Address

SECONDS = 10.0  # of both together
_HIGHEST_RATE = 1000.0  # so much shows whether they agree, and the scenario itself comes afterwards
_AGREES = 0.15
_ALIKE_MS = 0.2  # so little is how differently two programs are woken, whatever the server does
Run = Callable[..., Measured]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The median response by each of the two, in milliseconds; None where nothing was answered."""

    rate: float
    ours_ms: float | None
    pgbench_ms: float | None
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For people."""
        ours, theirs = (
            "no answer" if one is None else f"{one:.2f} ms at the median" for one in (self.ours_ms, self.pgbench_ms)
        )
        return f"at {self.rate:,.0f} a second the generator measures {ours}, pgbench {theirs}"


def doubts_of(found: Calibration) -> tuple[str, ...]:
    """Why the generator's figures are not to be believed; nothing where pgbench's are about the same. Pure."""
    if found.problems or found.ours_ms is None or found.pgbench_ms is None:
        return (f"nobody knows whether pgbench measures the same: {'; '.join((str(found), *found.problems))}",)
    apart = abs(found.ours_ms - found.pgbench_ms)
    if apart <= _ALIKE_MS or apart <= _AGREES * found.pgbench_ms:
        return ()
    return (f"generator and pgbench differ by more than {_AGREES:.0%}: {found}",)


def short_run(scenario: Scenario, seconds: float) -> Scenario:
    """The scenario at the mean rate of its measured phases, for so long. Pure."""
    rate = min(mean_rate(scenario.phases), _HIGHEST_RATE)
    return replace(scenario, phases=(Phase("calibration", seconds, rate, rate),), criteria=())


def calibrate(
    scenario: Scenario,
    address: Address,
    *,
    seed: int,
    seconds: float = SECONDS,
    ours: Run = engine.run,
    theirs: Run = pgbench.run,
) -> Calibration:
    """Run both in turn: ours, pgbench, pgbench, ours, so that what changes slowly touches both alike.

    Args:
        scenario: Its scripts, its pool and its rate are used.
        address: The load test's database.
        seed: What is drawn comes from it.
        seconds: How long it takes, all four runs together, but for their starts.
        ours: Our engine.
        theirs: pgbench.

    Raises:
        Unreachable: the pool's connections are not to be had.
        Inconclusive: a process of one of them was lost.
        Refused: there is no pgbench here.
    """
    short = short_run(scenario, seconds / 4)
    turns = [(run, run(short, address, seed=seed + n)) for n, run in enumerate((ours, theirs, theirs, ours))]
    problems = dict.fromkeys(problem for _, one in turns for problem in one.problems)
    return Calibration(
        short.phases[0].rate,
        _median([one for run, one in turns if run is ours]),
        _median([one for run, one in turns if run is theirs]),
        tuple(problems),
    )


def _median(runs: list[Measured]) -> float | None:
    times = np.concatenate([one.response[one.code == ANSWERED] for one in runs])
    return float(np.median(times)) / 1000 if len(times) else None
