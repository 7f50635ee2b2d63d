"""How far a load test is, for people who wait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import phase_of, when
from wedsync_db.load.worker import Progress
from wedsync_db.report.load.words import milliseconds
from wedsync_db.report.markdown import counted, duration

_NOTHING = Progress(0, 0, 0, None)
_EXACT_BELOW = 100  # seconds
_BETWEEN_SECONDS = 3.0  # from the last request of a run to the first of the next, about


@dataclass(frozen=True, slots=True)
class Standing:
    """Where it is: in which of how many runs, at which second of it, and how it goes there.

    `rate` is of answers a second, lately. There may be more runs than `runs`, where the verdict needs them.
    """

    run: int
    runs: int
    second: float
    seconds: float
    phase: str
    rate: float
    p95_ms: float | None
    errors: int

    @property
    def share(self) -> float:
        """How much of all is done."""
        return min((self.run - 1 + self.second / self.seconds) / max(self.runs, self.run), 1.0)

    @property
    def left(self) -> float:
        """How many seconds more it takes, about."""
        more = max(self.runs - self.run, 0)
        return self.seconds - self.second + more * (self.seconds + _BETWEEN_SECONDS)


class Follower:
    """Makes of each progress where the whole test stands. A run begins where fewer requests were due than before."""

    def __init__(self, scenario: Scenario, runs: int) -> None:
        self._scenario, self._runs = scenario, runs
        self._run, self._before, self._at = 0, _NOTHING, 0.0

    def hear(self, progress: Progress, now: float) -> Standing:
        """`now` is in seconds, on any clock."""
        if self._run == 0 or progress.due < self._before.due:
            self._run, self._before, self._at = self._run + 1, _NOTHING, now - 1.0
        passed = max(now - self._at, 1e-3)
        rate = max(progress.answered - self._before.answered, 0) / passed
        self._before, self._at = progress, now
        phases, seconds = self._scenario.phases, self._scenario.seconds
        second = min(when(phases, progress.due), seconds)
        phase = phases[int(phase_of(phases, np.asarray([second]))[0])].name
        return Standing(self._run, self._runs, second, seconds, phase, rate, progress.p95_ms, progress.errors)


def progress_line(at: Standing) -> str:
    """In a line of 80: `run 2 of 5, steady, 34 of 70 s: 203/s, p95 4.2 ms, no errors, 78 s left`; answers a second."""
    of = f" of {at.runs}" if at.run <= at.runs else " to be sure"
    p95 = "not known" if at.p95_ms is None else milliseconds(at.p95_ms)
    errors = counted(at.errors, "error") if at.errors else "no errors"
    left = f"{at.left:.0f} s" if at.left < _EXACT_BELOW else duration(at.left)
    done = f"{at.phase}, {at.second:.0f} of {at.seconds:.0f} s"
    return f"run {at.run}{of}, {done}: {at.rate:,.0f}/s, p95 {p95}, {errors}, {left} left"
