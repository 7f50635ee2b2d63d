"""One run as series over time and over percentiles, as plain values. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wedsync_db.load.compare import response_of
from wedsync_db.load.histogram import Histogram, middle_of
from wedsync_db.load.measure import judged_phases
from wedsync_db.load.run import LoadTest
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import due_until
from wedsync_db.load.summary import Cell, Summary

_MOST_STEPS = 240
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)  # seconds
_LEAST_BEYOND = 10  # values: with fewer above it, a percentile is that of chance
_POINTS_PER_DECADE = 24
_BANDS_PER_DECADE = 8


@dataclass(frozen=True, slots=True)
class Steps:
    """A run in steps of so many seconds: at which second each begins, and what came of the requests due in it."""

    seconds: int
    at: tuple[float, ...]
    cells: tuple[Cell, ...]
    last: int  # seconds of the last step, which may be shorter

    @property
    def answers(self) -> tuple[float, ...]:
        """How many a second were answered in each step, whenever they had been due.

        A step knows how long its requests took; they were due at any moment of it alike.
        """
        found = np.zeros(len(self.at) + 2)
        for place, cell in enumerate(self.cells):
            took, counts = _answered(cell)
            at = np.minimum(place + took / self.seconds, len(self.at))
            first = at.astype(np.int64)
            np.add.at(found, first, counts * (1 - at + first))
            np.add.at(found, first + 1, counts * (at - first))
        return self._by_second(found[: len(self.at)])

    def _by_second(self, counts: Iterable[float]) -> tuple[float, ...]:
        lengths = [self.seconds] * (len(self.at) - 1) + [self.last]
        return tuple(float(one) / length for one, length in zip(counts, lengths, strict=True))

    def percentiles(self, times: Callable[[Cell], Histogram], percent: float) -> tuple[float | None, ...]:
        """A percentile in each step, in milliseconds; None where nothing was answered."""
        return tuple(times(cell).percentile(percent) for cell in self.cells)

    def rates(self, count: Callable[[Cell], int]) -> tuple[float, ...]:
        """How many a second."""
        return self._by_second([count(cell) for cell in self.cells])


@dataclass(frozen=True, slots=True)
class Heat:
    """How many requests took how long, when: `counts[step][band]`; a band is from one of the edges to the next."""

    at: tuple[float, ...]
    seconds: float
    edges: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]


def representative(test: LoadTest) -> int:
    """The place of the run that stands for all: the one whose p95 is in the middle of them."""
    ranked = sorted(range(len(test.runs)), key=lambda n: _p95(test, n))
    return ranked[(len(ranked) - 1) // 2]


def steps_of(run: Summary, most: int = _MOST_STEPS) -> Steps:
    """The run in as many steps as can be told apart in a picture."""
    width = next((one for one in _STEPS if len(run.seconds) / one <= most), _STEPS[-1])
    begins = range(0, len(run.seconds), width)
    cells = tuple(Cell.sum(run.seconds[n : n + width]) for n in begins)
    return Steps(width, tuple(float(n) for n in begins), cells, len(run.seconds) - begins[-1])


def planned(scenario: Scenario, steps: Steps) -> tuple[float, ...]:
    """How many requests a second the scenario asks for in each step."""
    edges = [*steps.at, min(steps.at[-1] + steps.seconds, scenario.seconds)]
    due, lengths = np.diff(due_until(scenario.phases, edges)), np.maximum(np.diff(edges), 1e-9)
    return tuple(float(one) for one in due / lengths)


def pool_use(steps: Steps, pool: int) -> tuple[float, ...]:
    """The share of the pool that was at work in each step.

    Work is known by when it was due. No connection works more than a second in a second: what is more than the pool had
    was done in the following ones.
    """
    rest, found = 0.0, []
    for place, cell in enumerate(steps.cells):
        most = pool * (steps.seconds if place < len(steps.cells) - 1 else steps.last)
        rest += cell.busy
        found.append(min(rest, most) / most)
        rest -= min(rest, most)
    return tuple(found)


def spectrum_places(count: int) -> tuple[float, ...]:
    """Percentiles, as of how many requests one is slower: 2 is the median, 100 the 99th; as far as so many can tell."""
    if not count:
        return ()
    decades = math.log10(max(count / _LEAST_BEYOND, 2.0))
    return tuple(float(one) for one in np.logspace(0, decades, max(2, int(decades * _POINTS_PER_DECADE)) + 1))


def spectrum(found: Histogram, places: Sequence[float]) -> tuple[float | None, ...]:
    """How long the requests at these places took, in milliseconds."""
    return tuple(found.percentile(100 * (1 - 1 / one)) for one in places)


def heat(steps: Steps) -> Heat:
    """The responses in bands, eight to each factor of ten."""
    everything = Histogram.sum(cell.response for cell in steps.cells)
    if not everything.count:
        return Heat((), 1.0, (), ())
    lowest, highest = (max(value / 1000, 0.01) for value in middle_of(everything.bins[[0, -1]]))
    first = math.floor(math.log10(lowest) * _BANDS_PER_DECADE)
    last = math.floor(math.log10(highest) * _BANDS_PER_DECADE) + 1
    edges = tuple(10 ** (n / _BANDS_PER_DECADE) for n in range(first, last + 1))
    return Heat(steps.at, steps.seconds, edges, tuple(_in_bands(cell.response, edges) for cell in steps.cells))


def measured_cell(scenario: Scenario, run: Summary, script: str | None = None, phase: str | None = None) -> Cell:
    """What came of the requests that are judged."""
    return run.chosen(judged_phases(scenario, phase), script)


def _answered(cell: Cell) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How many seconds the answered ones took, and how many took so long.

    Those that were given up are among the responses: they had waited longer than any that was answered, or about.
    """
    rest = cell.answered - np.concatenate([[0], np.cumsum(cell.response.counts)[:-1]]).astype(np.int64)
    return middle_of(cell.response.bins) / 1e6, np.clip(rest, 0, cell.response.counts)


def _in_bands(found: Histogram, edges: Sequence[float]) -> tuple[int, ...]:
    places = np.searchsorted(edges, np.maximum(middle_of(found.bins) / 1000, edges[0]), side="right") - 1
    counts = np.bincount(places, weights=found.counts, minlength=len(edges) - 1)
    return tuple(int(one) for one in counts)


def _p95(test: LoadTest, number: int) -> float:
    value = response_of(test.scenario, test.runs[number], 95)
    return math.inf if value is None else value
