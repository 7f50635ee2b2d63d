"""Which borrowed connections are out for too long, and who has them. Pure; only `stack` looks at its callers."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import NamedTuple

_DEEPEST = 24  # calls that are remembered, the innermost first
_NOT_THE_BORROWER = (str(Path(__file__).parent), contextlib.__file__)

Call = tuple[CodeType, int]  # the code and its last instruction: no frame, which would keep the caller's variables


class Borrowed(NamedTuple):
    """A connection that somebody has. A tuple, as one is made for each borrow: a dataclass takes three times as long.

    `at` is a monotonic clock's, in seconds. `pid` is the server's process; None behind a pooler, which makes one up.
    """

    number: int
    at: float
    thread: str
    pid: int | None
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Leak:
    """A connection out for longer than allowed, or come back after that. `stack`: the calls that led to the borrow."""

    pool: str
    held_seconds: float
    returned: bool
    thread: str
    pid: int | None
    borrower: str  # function (file:line)
    stack: tuple[str, ...]

    @property
    def line(self) -> str:
        """For people, without the stack."""
        what = "came back after" if self.returned else "is out for"
        backend = f", backend {self.pid}" if self.pid else ""
        who = f"{self.borrower} in thread {self.thread}{backend}"
        return f"pool {self.pool}: a connection {what} {self.held_seconds:.0f} s, borrowed by {who}"


def stack() -> tuple[Call, ...]:
    """Where we are, without the text of it: reading files at each borrow would cost more than the borrow."""
    calls: list[Call] = []
    frame = inspect.currentframe()
    while frame is not None and len(calls) < _DEEPEST:
        calls.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(calls)


def newly_leaked(
    borrowed: Iterable[Borrowed], told: Container[int], now: float, allowed_seconds: float
) -> tuple[Borrowed, ...]:
    """Those that are out for too long and were not told of yet, the longest first."""
    late = [one for one in borrowed if one.number not in told and now - one.at >= allowed_seconds]
    return tuple(sorted(late, key=lambda one: one.at))


def next_look(borrowed: Iterable[Borrowed], told: Container[int], now: float, allowed_seconds: float) -> float:
    """In how many seconds the next one can be late: what is borrowed from now on is not late before that either."""
    due = [allowed_seconds - (now - one.at) for one in borrowed if one.number not in told]
    return max(0.0, min([allowed_seconds, *due]))


def leak(pool: str, one: Borrowed, now: float, *, returned: bool) -> Leak:
    """What to tell of a borrowed connection."""
    theirs = [call for call in one.calls if not call[0].co_filename.startswith(_NOT_THE_BORROWER)]
    shown = tuple(_where(*call) for call in theirs)
    first = shown[0] if shown else "unknown"
    return Leak(pool, max(0.0, now - one.at), returned, one.thread, one.pid, first, shown)


def _where(code: CodeType, instruction: int) -> str:
    """`function (file:line)`; the file with the folder it is in, which tells most."""
    path = Path(code.co_filename)
    return f"{code.co_qualname} ({'/'.join(path.parts[-2:])}:{_line(code, instruction)})"


def _line(code: CodeType, instruction: int) -> int:
    found = (line for start, end, line in code.co_lines() if start <= instruction < end and line)
    return next(found, code.co_firstlineno)
