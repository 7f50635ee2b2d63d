"""What one run came to: the value of each criterion, and whether the measurement itself was any good. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wedsync_db.load.criteria import Criterion
from wedsync_db.load.engine import Measured
from wedsync_db.load.histogram import Histogram
from wedsync_db.load.schedule import phase_of
from wedsync_db.load.worker import ANSWERED, DROPPED

_LAG_SHARE = 0.10  # of the tightest limit: how late the generator may itself be
_LATE_WAKING_MS = 5.0
_MOST_CPU = 0.70  # of a core: a thread that has to wait for the interpreter measures its own waiting
_TIMES = {"response_ms", "service_ms", "queue_ms"}
Mask = NDArray[np.bool_]


def value_of(criterion: Criterion, run: Measured) -> float | None:
    """What the criterion is about, in this run; None where nothing of it was measured."""
    among = chosen(run, criterion.phase, criterion.script)
    if criterion.metric == "leaks":
        return float(run.leaks)
    if criterion.metric == "pool_util":
        return _utilisation(run, criterion.phase)
    many = int(among.sum())
    if not many:
        return None
    if criterion.metric in _TIMES:
        return _time(criterion, run, among)
    counted = {
        "errors": int((run.code[among] > ANSWERED).sum()),
        "dropped": int((run.code[among] == DROPPED).sum()),
        "achieved": int((run.code[among] == ANSWERED).sum()),
    }[criterion.metric]
    return float(counted) if criterion.aggregate == "count" else counted / many


def chosen(run: Measured, phase: str | None, script: str | None = None) -> Mask:
    """The arrivals of a phase, or of all that are measured; of a script, or of all."""
    phases = run.scenario.phases
    wanted = [n for n, one in enumerate(phases) if (one.name == phase if phase else one.measured)]
    among: Mask = np.isin(phase_of(phases, run.schedule.due), wanted)
    if script:
        names = [one.name for one in run.scenario.scripts]
        among &= run.schedule.script == names.index(script)
    return among


def times_of(run: Measured, metric: str, among: Mask) -> NDArray[np.int64]:
    """Microseconds of those that were answered, and, of the response, of those that never were.

    A refusal may be quicker than any answer: errors are counted, and their times are not among these.
    """
    answered = among & (run.code == ANSWERED)
    if metric == "response_ms":
        return np.asarray(run.response[answered | (among & (run.code == DROPPED))])
    if metric == "service_ms":
        return np.asarray(run.service[answered])
    return np.asarray(np.where(run.late, 0, run.waited)[answered])


def doubts(run: Measured, criteria: Sequence[Criterion]) -> tuple[str, ...]:
    """Why this run says nothing about the database: the generator was the slow one, or not all was sent."""
    found = []
    limits = [one.limit for one in criteria if one.metric in _TIMES and one.lower_is_better]
    lags = run.waited[run.late & (run.waited >= 0)]
    if len(lags) and limits:
        lag = float(np.percentile(lags, 99)) / 1000
        if lag > _LAG_SHARE * min(limits):
            found.append(
                f"the generator was {lag:.1f} ms late (p99), over a tenth of the tightest limit, {min(limits):g} ms"
            )
    if len(run.heartbeats):
        late = float(np.percentile(run.heartbeats, 99)) / 1000
        if late > _LATE_WAKING_MS:
            found.append(f"the generator's processes were woken {late:.1f} ms late (p99): the machine is too busy")
    cores = run.cpu_seconds / run.seconds / run.processes
    if cores > _MOST_CPU:
        found.append(f"the generator used {cores:.0%} of its cores: it cannot send at this rate")
    planned = math.fsum(phase.arrivals for phase in run.scenario.phases) * run.share
    if abs(len(run.code) - planned) > 4 * math.sqrt(planned):
        found.append(f"{len(run.code)} arrivals instead of {planned:.0f}")
    return tuple(found)


def _time(criterion: Criterion, run: Measured, among: Mask) -> float | None:
    found = Histogram.of(times_of(run, criterion.metric, among))
    return found.mean() if criterion.percent is None else found.percentile(criterion.percent)


def _utilisation(run: Measured, phase: str | None) -> float | None:
    among = chosen(run, phase)
    phases = [one for one in run.scenario.phases if (one.name == phase if phase else one.measured)]
    seconds = sum(one.seconds for one in phases)
    busy = float(run.service[among & (run.service >= 0)].sum()) / 1e6
    return busy / (run.scenario.pool * seconds) if seconds else None
