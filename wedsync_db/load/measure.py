"""What one run came to: the value of each criterion, and whether the measurement itself was any good. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from wedsync_db.load.criteria import LIVE_PERCENT, Criterion
from wedsync_db.load.histogram import Histogram
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.summary import Cell, Summary

_LAG_SHARE = 0.10  # of the tightest limit: how late the generator may itself be
_LATE_WAKING_MS = 5.0
_MOST_CPU = 0.70  # of a core: a thread that has to wait for the interpreter measures its own waiting
_SLOW_MS = 1000.0
_STEADY_SECONDS = 5  # in a row, until it has recovered

_TIMES: Mapping[str, Callable[[Cell], Histogram]] = {
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
    if criterion.metric == "leaks":
        return float(run.leaks)
    if criterion.metric == "recovery_s":
        return recovery(criterion, scenario, run)
    cell = run.chosen(judged_phases(scenario, criterion.phase), criterion.script)
    if criterion.metric == "pool_util":
        return _utilisation(criterion, scenario, cell)
    if criterion.metric in _TIMES:
        return _time(criterion, scenario, run, cell)
    counted = _COUNTS[criterion.metric](cell)
    if not cell.arrivals:
        return None
    return float(counted) if criterion.aggregate == "count" else counted / cell.arrivals


def judged_phases(scenario: Scenario, phase: str | None) -> tuple[str, ...]:
    """The phases that a criterion is about: the one it names, or all that are measured."""
    return tuple(one.name for one in scenario.phases if (one.name == phase if phase else one.measured))


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
        if good == _STEADY_SECONDS:
            return float(second - _STEADY_SECONDS)
    return float(len(after)) if not criterion.holds(len(after)) else None


def doubts(criteria: Sequence[Criterion], run: Summary) -> tuple[str, ...]:
    """Why this run says nothing about the database: the generator was the slow one, or not all was sent."""
    found, was = list(run.problems), run.generator
    limits = [one.limit for one in criteria if one.metric in _TIMES and one.lower_is_better]
    late, woken = was.late.percentile(99), was.woken.percentile(99)
    if late is not None and limits and late > _LAG_SHARE * min(limits):
        found.append(
            f"the generator was {late:.1f} ms late (p99), over a tenth of the tightest limit, {min(limits):g} ms"
        )
    if woken is not None and woken > _LATE_WAKING_MS:
        found.append(f"the generator's processes were woken {woken:.1f} ms late (p99): the machine is too busy")
    if was.cores > _MOST_CPU:
        found.append(f"the generator used {was.cores:.0%} of its cores: it cannot send at this rate")
    arrivals = sum(cell.arrivals for cell in run.cells.values())
    if abs(arrivals - was.planned) > 4 * math.sqrt(was.planned):
        found.append(f"{arrivals} arrivals instead of {was.planned:.0f}")
    return tuple(found)


def _time(criterion: Criterion, scenario: Scenario, run: Summary, cell: Cell) -> float | None:
    of = _TIMES[criterion.metric]
    if not criterion.window:
        return _aggregate(criterion, of(cell))
    worst = [_aggregate(criterion, one) for one in _windows(criterion, scenario, [of(one) for one in run.seconds])]
    known = [one for one in worst if one is not None]
    return max(known) if known else None


def _aggregate(criterion: Criterion, found: Histogram) -> float | None:
    return found.mean() if criterion.percent is None else found.percentile(criterion.percent)


def _windows(criterion: Criterion, scenario: Scenario, seconds: Sequence[Histogram]) -> list[Histogram]:
    """The times in each window of so many seconds, within the phases that are judged, after the grace."""
    found, begin = [], 0.0
    for phase in scenario.phases:
        if phase.name in judged_phases(scenario, criterion.phase):
            first, last = math.ceil(max(begin, criterion.grace)), math.floor(begin + phase.seconds)
            length = min(criterion.window, last - first)
            found += [Histogram.sum(seconds[n : n + length]) for n in range(first, last - length + 1)]
        begin += phase.seconds
    return found


def _utilisation(criterion: Criterion, scenario: Scenario, cell: Cell) -> float | None:
    chosen = judged_phases(scenario, criterion.phase)
    seconds = sum(one.seconds for one in scenario.phases if one.name in chosen)
    return cell.busy / (scenario.pool * seconds) if seconds else None
