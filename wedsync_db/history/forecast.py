"""How something grows, and when it will be full: a line that outliers do not bend, with its uncertainty. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LEAST_POINTS = 7  # a week of days: with fewer a weekend looks like a trend
_Z = 1.645  # 90 % of a normal distribution lies within


@dataclass(frozen=True, slots=True)
class Growth:
    """A trend in units a day, with the limits between which it lies with 90 % confidence.

    `level` is the line's value at the newest point, `points` how many it rests on.
    """

    per_day: float
    lowest: float
    highest: float
    level: float
    points: int

    def at(self, days: float) -> tuple[float, float, float]:
        """The value so many days ahead: lowest, likely, highest."""
        return (
            self.level + self.lowest * days,
            self.level + self.per_day * days,
            self.level + self.highest * days,
        )

    def days_until(self, limit: float) -> tuple[float, float]:
        """Days until a limit is reached: at the earliest, and as is likely; infinite where it does not grow."""
        left = max(limit - self.level, 0.0)
        return _days(left, self.highest), _days(left, self.per_day)


def growth(days: Sequence[float], values: Sequence[float]) -> Growth | None:
    """The trend through these values, or None where there are too few to say: fewer than a week of days.

    The slope is the median of the slopes between all pairs (Theil 1950), its limits are Sen's (1968), from the variance
    of Kendall's statistic: neither is moved by a night on which something was loaded and deleted again.
    """
    x, y = np.asarray(days, dtype=float), np.asarray(values, dtype=float)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(np.unique(x)) < _LEAST_POINTS:
        return None
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] != x[first]
    slopes = np.sort((y[second] - y[first])[apart] / (x[second] - x[first])[apart])
    slope = float(np.median(slopes))
    spread = _Z * math.sqrt(len(x) * (len(x) - 1) * (2 * len(x) + 5) / 18)
    low = max(int((len(slopes) - spread) / 2), 0)
    high = min(math.ceil((len(slopes) + spread) / 2), len(slopes) - 1)
    level = float(np.median(y - slope * x)) + slope * float(x.max())
    return Growth(slope, float(slopes[low]), float(slopes[high]), level, len(x))


def _days(left: float, per_day: float) -> float:
    return left / per_day if per_day > 0 else 0.0 if left == 0 else math.inf
