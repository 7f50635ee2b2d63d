"""What one run came to: the value of each criterion, and whether the measurement itself was any good. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from wedsync_db.load.criteria import LIVE_PERCENT, STEADY_SECONDS, Criterion
from wedsync_db.load.histogram import Histogram
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import placed
from wedsync_db.load.summary import Cell, Generator, Summary

LATE_SHARE = 0.10  # of the tightest limit: how late the generator may itself be
LATE_WAKING_MS = 5.0
MOST_CPU = 0.70  # of a core: a thread that has to wait for the interpreter measures its own waiting
_SLOW_MS = 1000.0

TIMES: Mapping[str, Callable[[Cell], Histogram]] = {
    "response_ms": lambda cell: cell.response,
    "service_ms": lambda cell: cell.service,
    "queue_ms": lambda cell: cell.queue,
    "connect_ms": lambda cell: cell.connect,
}
_COUNTS: Mapping[str, Callable[[Cell], int]] = {
    "errors": lambda cell: sum(cell.errors.values()),
    "dropped": lambda cell: cell.dropped,
    "achieved": lambda cell: cell.answered,
    "slow_statements": lambda cell: cell.service.above(_SLOW_MS) + cell.failed.above(_SLOW_MS),
}


def value_of(criterion: Criterion, scenario: Scenario, run: Summary) -> float | None:
    """What the criterion is about, in this run; None where nothing of it was measured."""
    if criterion.metric in _OF_THE_RUN:
        return _OF_THE_RUN[criterion.metric](criterion, scenario, run)
    cell = run.chosen(judged_phases(scenario, criterion.phase), criterion.script)
    if criterion.metric == "pool_util":
        return utilisation(criterion, scenario, cell)
    if criterion.metric in TIMES:
        return _time(criterion, scenario, run, cell)
    counted = _COUNTS[criterion.metric](cell)
    if not cell.arrivals:
        return None
    return float(counted) if criterion.aggregate == "count" else counted / cell.arrivals


def judged_phases(scenario: Scenario, phase: str | None) -> tuple[str, ...]:
    """The phases that a criterion is about: the one it names, or all that are measured."""
    return tuple(one.name for one in scenario.phases if (one.name == phase if phase else one.measured))


def spans(scenario: Scenario, phase: str | None, run: Summary) -> tuple[tuple[float, float], ...]:
    """From when to when those phases were, in seconds from the first arrival; as far as the run came."""
    chosen, ended = judged_phases(scenario, phase), run.generator.seconds
    return tuple(
        (begin, min(end, ended)) for one, begin, end in placed(scenario.phases) if one.name in chosen and begin < ended
    )


def recovery(criterion: Criterion, scenario: Scenario, run: Summary) -> float | None:
    """Seconds from the end of a phase until the response's p95 is within its limit again, and stays so for a while.

    The limit is the tightest that the scenario has for it. What does not recover takes at least as long as the run goes
    on; None where that is too short to tell.
    """
    limit = min(one.limit for one in scenario.criteria if one.metric == "response_ms" and one.percent == LIVE_PERCENT)
    names = [one.name for one in scenario.phases]
    end = math.ceil(sum(one.seconds for one in scenario.phases[: names.index(criterion.phase or "") + 1]))
    after = [cell.response.percentile(95) for cell in run.seconds[end:]]
    good = 0
    for second, found in enumerate(after, 1):
        good = good + 1 if found is not None and found < limit else 0
        if good == STEADY_SECONDS:
            return float(second - STEADY_SECONDS)
    return float(len(after)) if not criterion.holds(len(after)) else None


def cache_hit(criterion: Criterion, scenario: Scenario, run: Summary) -> float | None:
    """The share of blocks that the server had in memory; None where nobody looked, or not long enough."""
    return run.observed.over(spans(scenario, criterion.phase, run)).cache_hit if run.observed else None


def utilisation(criterion: Criterion, scenario: Scenario, cell: Cell) -> float | None:
    """The share of the pool's time that was spent at work, in the phases that the criterion is about."""
    chosen = judged_phases(scenario, criterion.phase)
    seconds = sum(one.seconds for one in scenario.phases if one.name in chosen)
    # what was due in a phase may have been done after it: no connection is busier than all the time
    return min(cell.busy / (scenario.pool * seconds), 1.0) if seconds else None


_OF_THE_RUN: Mapping[str, Callable[[Criterion, Scenario, Summary], float | None]] = {
    "leaks": lambda _, __, run: float(run.leaks),
    "recovery_s": recovery,
    "cache_hit": cache_hit,
}


def doubts(criteria: Sequence[Criterion], run: Summary) -> tuple[str, ...]:
    """Why this run says nothing about the database: the generator was slow, or not all was sent or seen."""
    found, was = [*run.problems, *(run.observed.doubts() if run.observed else ())], run.generator
    seen, beyond = seen_of(was), beyond_limits(criteria, was)
    if "late" in beyond:
        lowest = tightest(criteria)
        found.append(
            f"the generator was {seen['late']:.1f} ms late (p99), over a tenth of the tightest limit, {lowest:g} ms"
        )
    if "woken" in beyond:
        found.append(f"the generator's processes were woken {seen['woken']:.1f} ms late (p99): the machine is too busy")
    if "cores" in beyond:
        found.append(f"the generator used {was.cores:.0%} of its cores: it cannot send at this rate")
    arrivals = sum(cell.arrivals for cell in run.cells.values())
    if abs(arrivals - was.planned) > 4 * math.sqrt(was.planned):
        found.append(f"{arrivals} arrivals instead of {was.planned:.0f}")
    return tuple(found)


def seen_of(was: Generator) -> Mapping[str, float | None]:
    """How late it sent and was woken (99th percentile, milliseconds), and the share of its cores in use."""
    return {"late": was.late.percentile(99), "woken": was.woken.percentile(99), "cores": was.cores}


def limits_of(criteria: Sequence[Criterion]) -> Mapping[str, float]:
    """What of this it may come to; without a limit for a time, any lateness."""
    lowest = tightest(criteria)
    return {"late": math.inf if lowest is None else LATE_SHARE * lowest, "woken": LATE_WAKING_MS, "cores": MOST_CPU}


def beyond_limits(criteria: Sequence[Criterion], was: Generator) -> frozenset[str]:
    """Which of this is beyond its limit."""
    most, seen = limits_of(criteria), seen_of(was)
    return frozenset(name for name, value in seen.items() if value is not None and value > most[name])


def tightest(criteria: Sequence[Criterion]) -> float | None:
    """The lowest limit for a time, in milliseconds; None where there is none."""
    return min((one.limit for one in criteria if one.metric in TIMES and one.lower_is_better), default=None)


def _time(criterion: Criterion, scenario: Scenario, run: Summary, cell: Cell) -> float | None:
    of = TIMES[criterion.metric]
    if not criterion.window:
        return _aggregate(criterion, of(cell))
    worst = [_aggregate(criterion, one) for one in _windows(criterion, scenario, [of(one) for one in run.seconds])]
    known = [one for one in worst if one is not None]
    return max(known) if known else None


def _aggregate(criterion: Criterion, found: Histogram) -> float | None:
    return found.mean() if criterion.percent is None else found.percentile(criterion.percent)


def _windows(criterion: Criterion, scenario: Scenario, seconds: Sequence[Histogram]) -> list[Histogram]:
    """The times in each window of so many seconds, within the phases that are judged, after the grace."""
    found, chosen = [], judged_phases(scenario, criterion.phase)
    for phase, begin, end in placed(scenario.phases):
        if phase.name in chosen:
            first, last = math.ceil(max(begin, criterion.grace)), math.floor(end)
            length = min(criterion.window, last - first)
            found += [Histogram.sum(seconds[n : n + length]) for n in range(first, last - length + 1)]
    return found
