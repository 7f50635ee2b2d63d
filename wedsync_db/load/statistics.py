"""What repeated runs say, and how much they could not have said. Pure.

The run is the unit: within one run thousands of transactions share the same machine, cache and neighbours, so that
their spread says little about the next run (measured here: 16 times too little; load tests elsewhere found the same).
Times are compared as logarithms, since what slows things down multiplies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_CONFIDENCE = 0.95
_LEAST_RUNS = 2  # one run has no spread
_LEAST_MEANS = 4  # with fewer nothing can be cut
ALPHA = 0.01  # how often a comparison may find what is not there
_POWER = 3.17  # z(0.99) + z(0.80): at that level a difference of so many standard errors is found four times of five
_RESOLUTION = 0.004  # of a histogram's bins: runs cannot be told apart more finely


@dataclass(frozen=True, slots=True)
class Interval:
    """Between which values the true one is, with 95 % confidence; `middle` is the geometric mean of the runs."""

    low: float
    middle: float
    high: float


def interval(values: Sequence[float]) -> Interval | None:
    """The interval of a value above zero over repeated runs, by Student's t on its logarithm; None for one run."""
    from scipy import stats  # half a second, and only a verdict needs it

    if len(values) < _LEAST_RUNS or min(values) <= 0:
        return None
    logs = np.log(values)
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(logs) - 1)) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    middle = float(logs.mean())
    return Interval(math.exp(middle - reach), math.exp(middle), math.exp(middle + reach))


def detectable(spread: float, runs: int, others: int) -> float:
    """The smallest ratio that would be found four times of five, for so many runs against so many others.

    `spread` is the standard deviation of the logarithms. 1.10 means: what is 10 % slower is found; less may not be.
    """
    return math.exp(_POWER * max(spread, _RESOLUTION) * math.sqrt(1 / runs + 1 / others))


def detectable_pairs(before: Sequence[float], after: Sequence[float]) -> float:
    """The same for runs that were made in turn, a pair after the other."""
    changes = np.log(after) - np.log(before)
    return math.exp(_POWER * max(float(changes.std(ddof=1)), _RESOLUTION) / math.sqrt(len(changes)))


def spread_of(*groups: Sequence[float]) -> float:
    """The standard deviation of the logarithms within the groups, pooled."""
    logs = [np.log(group) for group in groups if len(group) > 1]
    freedom = sum(len(one) - 1 for one in logs)
    return math.sqrt(sum(float(one.var(ddof=1)) * (len(one) - 1) for one in logs) / freedom) if freedom else math.nan


def slower(values: Sequence[float], baseline: Sequence[float]) -> tuple[float, float]:
    """How much slower these runs are than the baseline's, and the probability of that by chance (Welch, one-sided)."""
    from scipy import stats

    own, others = np.log(values), np.log(baseline)
    ratio = math.exp(float(own.mean() - others.mean()))
    spreads = [max(float(one.std(ddof=1)), _RESOLUTION) for one in (own, others)]  # none has no spread at all
    found = stats.ttest_ind_from_stats(
        own.mean(), spreads[0], len(own), others.mean(), spreads[1], len(others), equal_var=False, alternative="greater"
    )
    return ratio, float(found.pvalue)


def slower_pairs(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """The same for runs that were made in turn, a pair after the other (Wilcoxon's signed ranks, one-sided)."""
    from scipy import stats

    changes = np.log(after) - np.log(before)
    if not np.any(changes):
        return 1.0, 1.0
    found = stats.wilcoxon(changes, alternative="greater")
    return math.exp(float(np.median(changes))), float(found.pvalue)


def warm_up(values: Sequence[float]) -> int:
    """How many of the values at the begin are warming up, by MSER-5 (White 1997); at most half of them.

    Means of five are cut from the front until the standard error of what remains is smallest.
    """
    means = np.asarray([np.mean(values[n : n + 5]) for n in range(0, len(values) - 4, 5)])
    if len(means) < _LEAST_MEANS:
        return 0
    errors = [float(means[cut:].var() / (len(means) - cut)) for cut in range(len(means) // 2 + 1)]
    return 5 * int(np.argmin(errors))


def is_steady(values: Sequence[float], *, within: float = 0.10) -> bool:
    """Whether the first and the second half have the same median, within this share."""
    half = len(values) // 2
    if half == 0:
        return False
    first, second = float(np.median(values[:half])), float(np.median(values[half:]))
    return abs(second - first) <= within * first
