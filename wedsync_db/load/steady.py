"""Whether a run was as fast at its end as at its begin: a load test is about what lasts. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import placed
from wedsync_db.load.statistics import is_steady, warm_up
from wedsync_db.load.summary import Summary

_LEAST_SECONDS = 20  # a shorter phase has no two halves that could be told apart
_COLDER = 1.10  # less is what noise does


def drift(scenario: Scenario, run: Summary) -> tuple[str, ...]:
    """What is to be said of the judged phases of one rate: that they still were warming up, or got slower or faster.

    From the median of each second what MSER-5 takes for warming up is cut, where it was slower; the medians of the
    halves of what remains are alike within 10 %.
    """
    found: list[str] = []
    for phase, begin, end in placed(scenario.phases):
        if phase.measured and phase.rate == phase.rate_at_end and phase.seconds >= _LEAST_SECONDS:
            seconds = run.seconds[int(np.ceil(begin)) : int(end)]
            medians = [one for cell in seconds if (one := cell.response.percentile(50)) is not None]
            found += _said(phase.name, medians)
    return tuple(found)


def _said(name: str, medians: Sequence[float]) -> list[str]:
    cut = warm_up(medians)
    is_cold = cut > 0 and float(np.median(medians[:cut])) > _COLDER * float(np.median(medians[cut:]))
    rest = medians[cut:] if is_cold else medians
    found = []
    if is_cold:
        found.append(f"The first {cut} seconds of the phase {name} look like warming up: let it warm up longer.")
    if not is_steady(rest):
        first, second = (float(np.median(half)) for half in (rest[: len(rest) // 2], rest[len(rest) // 2 :]))
        found.append(f"The phase {name} was not steady: the median went from {first:.2g} to {second:.2g} ms.")
    return found
