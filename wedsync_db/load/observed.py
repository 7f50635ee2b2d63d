"""What the server did during one run: who waited for what, second by second, and what its counters grew by. Pure.

Times are in seconds, from the run's first arrival on. Unknown is None, never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

CPU, NOT_SHOWN, LOCK = "CPU", "not shown", "Lock"
IDLE = frozenset({"idle", "idle in transaction", "idle in transaction (aborted)"})  # sessions that do nothing
STEP_SECONDS = 0.1
# as the columns of the query: of the database, but WAL and checkpoints, which are the server's
COUNTERS = (
    "commits", "rollbacks", "blocks_hit", "blocks_read", "deadlocks", "temp_bytes", "rows_returned", "rows_fetched",
    "rows_inserted", "rows_updated", "rows_deleted", "wal_records", "wal_full_pages", "wal_bytes", "checkpoints",
)  # fmt: skip
_NEAR_SECONDS = 2.0  # a counter this far from the edge of a window is still the window's
_SAME_SECONDS = 1e-6
_MOST_LOST = 0.05


@dataclass(frozen=True, slots=True)
class Second:
    """One second: how many samples there should be and are, and how many sessions did what, on average.

    A wait is called `Lock:transactionid`, as the server's own type and event; `CPU` is a session at work that waits for
    nothing, `not shown` one that this role is not told about.
    """

    at: float
    planned: int
    taken: int
    waits: Mapping[str, float]
    most_lock_waits: int = 0  # sessions waiting for a lock, at one moment
    unanswered: int = 0  # samples that are missing since the server was still answering the one before


@dataclass(frozen=True, slots=True)
class Counted:
    """What the server had counted at a time, in the order of COUNTERS."""

    at: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Pooled:
    """What a pooler had at a time: clients it let wait, connections at work, and how long the first had waited."""

    at: float
    clients_waiting: float
    servers_active: float
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Statement:
    """One of the run's longest statements, without its values; `share` is its part of all the time spent."""

    text: str
    share: float
    calls: int | None = None  # None where the time is known from samples only
    mean_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Plateau:
    """A part of the run: counters grown, averages and maxima; what is not known is None.

    `waits` has average sessions by type: Lock, IO, CPU and so on. `lost` is the share of samples that are missing, and
    not because the server was too slow for them.
    """

    seconds: float
    grown: Mapping[str, float | None]
    waits: Mapping[str, float]
    lock_waits_max: int | None
    clients_waiting_max: float | None
    lost: float

    @property
    def at_work(self) -> Mapping[str, float]:
        """Of the `waits`, those of sessions that do something."""
        return {kind: many for kind, many in self.waits.items() if kind not in IDLE and many > 0}

    @property
    def most_work(self) -> str | None:
        """What those did most; None where nobody did anything, or what some of them did is not shown."""
        work = self.at_work
        return None if NOT_SHOWN in work else max(work, key=lambda kind: work[kind], default=None)

    @property
    def cache_hit(self) -> float | None:
        """The share of blocks that were found in the server's own cache; None where none was asked for."""
        hit, read = self.grown["blocks_hit"], self.grown["blocks_read"]
        return hit / (hit + read) if hit is not None and read is not None and hit + read else None

    @property
    def transactions(self) -> float | None:
        """How many ended, well or not."""
        ended = self.grown["commits"], self.grown["rollbacks"]
        return None if ended[0] is None or ended[1] is None else ended[0] + ended[1]

    @property
    def wal_by_transaction(self) -> float | None:
        """Bytes of WAL; the server's other databases write into the same."""
        written = self.grown["wal_bytes"]
        return written / self.transactions if written is not None and self.transactions else None


@dataclass(frozen=True, slots=True)
class Observed:
    """All that was seen of one run. `notes` say what was not to be seen, and what would show it."""

    seconds: tuple[Second, ...] = ()
    counted: tuple[Counted, ...] = ()
    pooled: tuple[Pooled, ...] = ()
    statements: tuple[Statement, ...] = ()  # the longest first
    statements_sampled: bool = False  # by how often they were met, where nobody counts them
    notes: tuple[str, ...] = ()

    def between(self, begin: float, end: float) -> Plateau:
        """What happened between two times."""
        return self.over([(begin, end)])

    def over(self, windows: Iterable[tuple[float, float]]) -> Plateau:
        """What happened in these windows together; of counters, between the samples nearest to their edges."""
        joined = _joined(windows)
        seconds = [one for one in self.seconds if _within(one.at + 0.5, joined)]
        taken = sum(one.taken for one in seconds)
        waits = _by_type(seconds, taken)
        known = taken > 0 and not waits.get(NOT_SHOWN)
        pooled = [one.clients_waiting for one in self.pooled if _within(one.at, joined)]
        return Plateau(
            seconds=sum(end - begin for begin, end in joined),
            grown=_grown(self.counted, joined),
            waits=waits,
            lock_waits_max=max(one.most_lock_waits for one in seconds) if known else None,
            clients_waiting_max=max(pooled, default=None),
            lost=_lost(seconds),
        )

    @property
    def lost(self) -> float:
        """The share of samples that are missing from the first arrival on.

        Those that the server was too slow to answer are a finding, and not among them.
        """
        return _lost([one for one in self.seconds if one.at >= 0])

    def doubts(self) -> tuple[str, ...]:
        """Why what was seen says nothing: too little of it was."""
        return (f"the sampler lost {self.lost:.0%} of what it was to see",) if self.lost > _MOST_LOST else ()

    def to_json(self) -> dict[str, Any]:
        """As plain values. Counters begin at zero, so that an hour of them is not all digits."""
        first = self.counted[0].values if self.counted else ()
        less = [
            Counted(one.at, tuple(now - then for now, then in zip(one.values, first, strict=True)))
            for one in self.counted
        ]
        return {**asdict(self), "counted": [asdict(one) for one in less]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Observed:
        """What `to_json` made; counters have another begin, and grow by the same."""
        return cls(
            tuple(Second(**one) for one in raw["seconds"]),
            tuple(Counted(one["at"], tuple(one["values"])) for one in raw["counted"]),
            tuple(Pooled(**one) for one in raw["pooled"]),
            tuple(Statement(**one) for one in raw["statements"]),
            raw["statements_sampled"],
            tuple(raw["notes"]),
        )


def type_of(wait: str) -> str:
    """`Lock` of `Lock:transactionid`."""
    return wait.partition(":")[0]


def _by_type(seconds: Sequence[Second], taken: int) -> Mapping[str, float]:
    """Average sessions by type of wait: a second with more samples says more."""
    total: dict[str, float] = {}
    for second in seconds:
        for wait, sessions in second.waits.items():
            total[type_of(wait)] = total.get(type_of(wait), 0.0) + sessions * second.taken
    return {name: total[name] / taken for name in sorted(total)}


def _lost(seconds: Sequence[Second]) -> float:
    planned = sum(one.planned for one in seconds)
    return sum(one.planned - one.taken - one.unanswered for one in seconds) / planned if planned else 1.0


def _grown(counted: Sequence[Counted], windows: Sequence[tuple[float, float]]) -> Mapping[str, float | None]:
    parts = [_difference(counted, begin, end) for begin, end in windows]
    if not parts or None in parts:
        return dict.fromkeys(COUNTERS)
    sums = map(math.fsum, zip(*(part for part in parts if part), strict=True))
    return dict(zip(COUNTERS, sums, strict=True))


def _difference(counted: Sequence[Counted], begin: float, end: float) -> tuple[float, ...] | None:
    """None where an edge is missing, or the counters began anew in between: then one of them fell."""
    first, last = _nearest(counted, begin), _nearest(counted, end)
    if first is None or last is None or last.at <= first.at:
        return None
    inside = [one.values for one in counted if first.at <= one.at <= last.at]
    if any(now < then for before, after in pairwise(inside) for then, now in zip(before, after, strict=True)):
        return None
    return tuple(now - then for then, now in zip(first.values, last.values, strict=True))


def _nearest(counted: Sequence[Counted], at: float) -> Counted | None:
    found = min(counted, key=lambda one: abs(one.at - at), default=None)
    return found if found and abs(found.at - at) <= _NEAR_SECONDS else None


def _within(at: float, windows: Iterable[tuple[float, float]]) -> bool:
    return any(begin <= at < end for begin, end in windows)


def _joined(windows: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that follow each other as one: a phase may be shorter than the counters' second."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted(windows):
        if found and begin <= found[-1][1] + _SAME_SECONDS:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif end > begin:
            found.append((begin, end))
    return found
