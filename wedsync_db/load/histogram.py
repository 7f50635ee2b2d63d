"""How long things took, as counts in bins: exact to the bin however many parts are added up. Pure.

Bins are log-linear, 128 to an octave, so that a value is known to 0.4 % (the layout of HdrHistogram by Gil Tene).
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bins = NDArray[np.int64]
_BITS = 7
_STORED = np.dtype([("bin", "<u2"), ("count", "<u4")])


def bins_of(microseconds: Bins) -> Bins:
    """The bin of each value; values below zero are taken for zero."""
    values = np.maximum(microseconds, 0)
    _, length = np.frexp(values.astype(np.float64))  # the exponent is the number of bits
    shift: NDArray[np.int64] = np.maximum(length.astype(np.int64) - _BITS - 1, 0)
    return np.asarray((shift << _BITS) + (values >> shift))


def middle_of(bins: Bins) -> NDArray[np.float64]:
    """The value in the middle of each bin, in microseconds."""
    shift = np.maximum((bins >> _BITS) - 1, 0)
    low: NDArray[np.int64] = (bins - (shift << _BITS)) << shift
    width: NDArray[np.int64] = np.left_shift(1, shift)
    return low.astype(np.float64) + (width - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """The bins that have something, in order, and how many values each has. Adding two is exact."""

    bins: Bins
    counts: Bins

    @classmethod
    def of(cls, microseconds: Bins) -> Histogram:
        """That of these values."""
        return cls(*np.unique(bins_of(microseconds), return_counts=True))

    @classmethod
    def sum(cls, parts: Iterable[Histogram]) -> Histogram:
        """All of them together."""
        held = list(parts)
        if not held:
            return cls.of(np.zeros(0, dtype=np.int64))
        bins, place = np.unique(np.concatenate([one.bins for one in held]), return_inverse=True)
        counts = np.zeros(len(bins), dtype=np.int64)
        np.add.at(counts, place, np.concatenate([one.counts for one in held]))
        return cls(bins, counts)

    @property
    def count(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())

    def percentile(self, percent: float) -> float | None:
        """The value, in milliseconds, that so many percent do not exceed; None where there is no value.

        The nearest rank, as k6 and HdrHistogram have it: no value is made up between two.
        """
        if not self.count:
            return None
        rank = max(1, int(np.ceil(self.count * percent / 100 - 1e-9)))
        place = np.searchsorted(np.cumsum(self.counts), rank)
        return float(middle_of(self.bins[[place]])[0]) / 1000

    def mean(self) -> float | None:
        """The average in milliseconds; None where there is no value."""
        return float(middle_of(self.bins) @ self.counts / self.count) / 1000 if self.count else None

    def above(self, milliseconds: float) -> int:
        """How many values are greater than this."""
        return int(self.counts[middle_of(self.bins) > milliseconds * 1000].sum())

    def to_text(self) -> str:
        """To be stored: compressed, as base64."""
        pairs = np.zeros(len(self.bins), dtype=_STORED)
        pairs["bin"], pairs["count"] = self.bins, self.counts
        return base64.b64encode(zlib.compress(pairs.tobytes())).decode()

    @classmethod
    def from_text(cls, stored: str) -> Histogram:
        """What `to_text` made."""
        pairs = np.frombuffer(zlib.decompress(base64.b64decode(stored)), dtype=_STORED)
        return cls(pairs["bin"].astype(np.int64), pairs["count"].astype(np.int64))
