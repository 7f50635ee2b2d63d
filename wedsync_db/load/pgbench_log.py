"""What pgbench wrote down of each transaction, as what our own engine measures. Pure.

A line is: client, number, time, script, second and microsecond of the end, lag. With a rate, the time is from when it
was due, and the lag is how late it began.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wedsync_db.load.pgbench_script import Step
from wedsync_db.load.worker import ANSWERED, DROPPED

# words where a failed transaction's time would be, and what stands for them in a table of numbers
_FAILED = ((b" serialization ", b" -1 ", "40001"), (b" deadlock ", b" -2 ", "40P01"))
STATES = tuple(state for _, _, state in _FAILED)
_CLIENT, _TIME, _SCRIPT, _SECOND, _MICROSECOND, _LAG = 0, 2, 3, 4, 5, 6
_GAPS = 10  # mean distances between arrivals: a longer silence at the end is no chance (1 in 20,000)
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """An element for each: `due` in seconds from the step's begin, the times in microseconds.

    `code` is that of `Measured`, with the place of its SQLSTATE in `STATES`, and so is `late`.
    """

    due: NDArray[np.float64]
    script: NDArray[np.int16]
    waited: Ints
    service: Ints
    code: NDArray[np.int16]
    late: NDArray[np.bool_]

    @classmethod
    def of(cls, parts: Sequence[Arrivals]) -> Arrivals:
        """All of them, in the order in which they were due."""
        whole = cls(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(cls)))
        return whole.chosen(np.argsort(whole.due, kind="stable"))

    def chosen(self, which: NDArray[Any]) -> Arrivals:
        """Those of them, by their places or by whether each is among them."""
        return Arrivals(*(getattr(self, field.name)[which] for field in fields(self)))

    def from_begin(self, step: Step) -> Arrivals:
        """The same, due in seconds from the run's begin."""
        return replace(self, due=self.due + step.begin)


def read_log(logs: Sequence[bytes], step: Step, threads: int, weights: Sequence[int], seed: int) -> Arrivals:
    """The arrivals of a step, from the log of each thread.

    pgbench begins nothing more when its time is over, and says nothing of what was due by then: a thread that was so
    far behind has arrivals that nobody sees. They are made up here, at the step's rate, and count as dropped.
    """
    rng = np.random.default_rng(seed)
    tables = [_table(log) for log in logs]
    tables += [np.zeros((0, _LAG + 1), dtype=np.int64)] * (threads - len(tables))
    ends = [(table, _due(table)) for table in tables]
    mean_gap = threads / step.rate if step.rate else 0.0
    firsts = [due.min() / 1e6 for _, due in ends if len(due)]
    start = min(firsts) - mean_gap / threads if firsts else 0.0
    parts = []
    for table, due in ends:
        known = _known(table, due, start)
        parts += [known, _never_begun(known, step, mean_gap, weights, rng)]
    found = Arrivals.of(parts)
    return found.chosen(found.due <= step.seconds)  # pgbench goes on for longer


def _table(log: bytes) -> Ints:
    for word, number, _ in _FAILED:
        log = log.replace(word, number)
    complete = log[: log.rfind(b"\n") + 1]  # of one that was ended, the last line may be half
    if not complete:
        return np.zeros((0, _LAG + 1), dtype=np.int64)
    return np.loadtxt(io.BytesIO(complete), dtype=np.int64, ndmin=2)


def _end(table: Ints) -> Ints:
    """When each ended, in microseconds of Unix time."""
    return np.asarray(table[:, _SECOND] * 1_000_000 + table[:, _MICROSECOND])


def _due(table: Ints) -> Ints:
    """When each was due, in microseconds of Unix time; how long a failed one took is not written down."""
    return np.asarray(_end(table) - np.where(table[:, _TIME] < 0, table[:, _LAG], table[:, _TIME]))


def _known(table: Ints, due: Ints, start: float) -> Arrivals:
    failed = table[:, _TIME] < 0
    waited = np.maximum(table[:, _LAG], 0)
    service = np.where(failed, 0, np.maximum(table[:, _TIME] - waited, 0))
    code = np.where(failed, -table[:, _TIME], ANSWERED).astype(np.int16)
    late = _late(table[:, _CLIENT], due, _end(table))
    since = np.maximum(due / 1e6 - start, 0.0)
    return Arrivals(since, table[:, _SCRIPT].astype(np.int16), waited, service, code, late)


def _late(client: Ints, due: Ints, end: Ints) -> NDArray[np.bool_]:
    """Whether the client was free when its transaction was due: if it waited, pgbench was not woken.

    A client takes the next time to come as soon as it is free. If that is over already, then all clients were busy.
    """
    order = np.lexsort((end, client))
    is_first = np.diff(client[order], prepend=-1) != 0
    before = np.concatenate([np.zeros(1, dtype=np.int64), end[order]])[:-1]
    late = np.zeros(len(client), dtype=np.bool_)
    late[order] = is_first | (before <= due[order])
    return late


def _never_begun(
    known: Arrivals, step: Step, mean_gap: float, weights: Sequence[int], rng: np.random.Generator
) -> Arrivals:
    """What was due between the last one that a thread began and the end of the step, where that is long ago."""
    last = float(known.due.max()) if len(known.due) else 0.0
    silent = step.seconds - last
    many = round(silent / mean_gap) if mean_gap and silent > _GAPS * mean_gap else 0
    due = last + (np.arange(many) + 0.5) * silent / max(many, 1)
    share = np.asarray(weights, dtype=np.float64)
    script = rng.choice(len(share), size=many, p=share / share.sum()).astype(np.int16)
    nothing = np.full(many, -1, dtype=np.int64)
    never = np.full(many, DROPPED, dtype=np.int16)
    return Arrivals(due, script, nothing, nothing, never, np.zeros(many, dtype=np.bool_))
