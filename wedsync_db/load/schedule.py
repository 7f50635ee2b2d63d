"""When everybody arrives: an open loop, made whole before the run and the same on every machine. Pure.

Arrivals are a Poisson process whose rate follows the scenario's phases, made by time-rescaling: unit-rate arrivals,
mapped through the inverse of the cumulative rate (Cinlar 1975, chapter 4; exact, not thinned). Nobody waits for an
answer before the next one is due: a server that stalls does not slow the arrivals down, as it does not in life.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_POINTS_PER_SECOND = 200


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a run: its length in seconds, and arrivals a second at its begin and at its end, straight between.

    Only phases that are `measured` are judged; warming up is not.
    """

    name: str
    seconds: float
    rate: float
    rate_at_end: float
    measured: bool = True

    @property
    def arrivals(self) -> float:
        """How many are expected."""
        return self.seconds * (self.rate + self.rate_at_end) / 2


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every arrival, in order: `due` in seconds from the start, and of each the index of its script and its user."""

    due: Floats
    script: NDArray[np.int16]
    user: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.due)


def arrivals(phases: Sequence[Phase], seed: int) -> Floats:
    """When each arrival is due, in seconds from the start; the same for the same phases and seed."""
    times, expected = _cumulative(phases)
    units = _unit_arrivals(float(expected[-1]), np.random.default_rng(seed))
    return np.interp(units, expected, times)


def placed(phases: Sequence[Phase]) -> Iterator[tuple[Phase, float, float]]:
    """Each phase, and from when to when it is, in seconds from the start."""
    begin = 0.0
    for phase in phases:
        yield phase, begin, begin + phase.seconds
        begin += phase.seconds


def highest_rate(phases: Sequence[Phase]) -> float:
    """The most arrivals a second of any phase."""
    return max(max(phase.rate, phase.rate_at_end) for phase in phases)


def mean_rate(phases: Sequence[Phase]) -> float:
    """Arrivals a second of the measured phases, on average."""
    measured = [phase for phase in phases if phase.measured]
    return math.fsum(phase.arrivals for phase in measured) / math.fsum(phase.seconds for phase in measured)


def due_until(phases: Sequence[Phase], at: Sequence[float]) -> Floats:
    """How many arrivals have been due at these seconds, on average."""
    found = np.zeros(len(at))
    for phase, begin, _ in placed(phases):
        inside = np.clip(np.asarray(at) - begin, 0.0, phase.seconds)
        found += phase.rate * inside + (phase.rate_at_end - phase.rate) / phase.seconds * inside**2 / 2
    return found


def when(phases: Sequence[Phase], count: float) -> float:
    """In which second so many arrivals have been due, on average."""
    times, expected = _cumulative(phases)
    return float(np.interp(count, expected, times))


def schedule(phases: Sequence[Phase], weights: Sequence[float], users: int, seed: int) -> Schedule:
    """The whole run.

    Args:
        phases: Its parts, one after the other.
        weights: Each script's share, in any unit.
        users: From how many users each arrival's is drawn, all alike.
        seed: Everything drawn comes from this.
    """
    due = arrivals(phases, seed)
    rng = np.random.default_rng(seed + 1)
    share = np.asarray(weights, dtype=np.float64)
    script = rng.choice(len(share), size=len(due), p=share / share.sum()).astype(np.int16)
    return Schedule(due, script, rng.integers(0, users, size=len(due), dtype=np.int32))


def shard(number: int, of: int) -> slice:
    """The arrivals of one of several generators: every one computes the whole schedule and takes its part of it."""
    return slice(number, None, of)


def phase_of(phases: Sequence[Phase], due: Floats) -> NDArray[np.int16]:
    """In which phase each arrival is; the last phase keeps those at the very end."""
    ends = np.cumsum([phase.seconds for phase in phases])
    found: NDArray[np.int16] = np.minimum(np.searchsorted(ends, due, side="right"), len(phases) - 1).astype(np.int16)
    return found


def _cumulative(phases: Sequence[Phase]) -> tuple[Floats, Floats]:
    """Points in time, and how many arrivals are expected until then: each phase with points of its own at both ends."""
    times, rates = [np.zeros(1)], [np.asarray([phases[0].rate])]
    begin = 0.0
    for phase in phases:
        inside = np.linspace(0.0, 1.0, max(2, math.ceil(phase.seconds * _POINTS_PER_SECOND)))
        times.append(begin + inside * phase.seconds)
        rates.append(phase.rate + inside * (phase.rate_at_end - phase.rate))
        begin += phase.seconds
    time, rate = np.concatenate(times), np.concatenate(rates)
    steps = np.diff(time) * (rate[1:] + rate[:-1]) / 2  # no time between the ends of two phases: no arrivals there
    return time, np.concatenate([np.zeros(1), np.cumsum(steps)])


def _unit_arrivals(until: float, rng: np.random.Generator) -> Floats:
    """Arrivals of a Poisson process of rate one, before `until`."""
    drawn = np.zeros(0)
    while not len(drawn) or drawn[-1] < until:
        more = math.ceil(until - (drawn[-1] if len(drawn) else 0.0))
        gaps = rng.exponential(1.0, more + 10 * math.isqrt(more) + 10)
        drawn = np.concatenate([drawn, (drawn[-1] if len(drawn) else 0.0) + np.cumsum(gaps)])
    return drawn[drawn < until]
