"""How long things took, as counts in bins: exact to the bin however many parts are added up. Pure.

Bins are log-linear, 128 to an octave, so that a value is known to 0.4 % (the layout of HdrHistogram by Gil Tene).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
_BITS = 7
_WHOLE = 1 << (_BITS + 1)  # below this many microseconds every value has a bin of its own
_STORED = np.dtype([("bin", "<u2"), ("count", "<u4")])


def bins_of(microseconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bin of each value; values below zero are taken for zero."""
    values = np.maximum(microseconds, 0)
    _, length = np.frexp(values.astype(np.float64))  # the exponent is the number of bits
    shift: NDArray[np.int64] = np.maximum(length.astype(np.int64) - _BITS - 1, 0)
    return np.asarray((shift << _BITS) + (values >> shift))


def middle_of(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """The value in the middle of each bin, in microseconds."""
    shift = np.maximum((bins >> _BITS) - 1, 0)
    low: NDArray[np.int64] = (bins - (shift << _BITS)) << shift
    width: NDArray[np.int64] = np.left_shift(1, shift)
    return low.astype(np.float64) + (width - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts by bin. Adding two is exact."""

    counts: Counts

    @classmethod
    def of(cls, microseconds: NDArray[np.int64]) -> Histogram:
        """That of these values."""
        return cls(np.bincount(bins_of(microseconds)).astype(np.int64))

    @classmethod
    def sum(cls, parts: Iterable[Histogram]) -> Histogram:
        """All of them together."""
        held = [part.counts for part in parts]
        total = np.zeros(max((len(one) for one in held), default=0), dtype=np.int64)
        for one in held:
            total[: len(one)] += one
        return cls(total)

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
        return float(middle_of(np.asarray([place]))[0]) / 1000

    def mean(self) -> float | None:
        """The average in milliseconds; None where there is no value."""
        if not self.count:
            return None
        return float(middle_of(np.arange(len(self.counts))) @ self.counts / self.count) / 1000

    def to_bytes(self) -> bytes:
        """To be stored: the bins that have something, compressed."""
        places = np.flatnonzero(self.counts)
        pairs = np.zeros(len(places), dtype=_STORED)
        pairs["bin"], pairs["count"] = places, self.counts[places]
        return zlib.compress(pairs.tobytes())

    @classmethod
    def from_bytes(cls, stored: bytes) -> Histogram:
        """What `to_bytes` made."""
        pairs = np.frombuffer(zlib.decompress(stored), dtype=_STORED)
        counts = np.zeros(int(pairs["bin"][-1]) + 1 if len(pairs) else 0, dtype=np.int64)
        counts[pairs["bin"]] = pairs["count"]
        return cls(counts)
