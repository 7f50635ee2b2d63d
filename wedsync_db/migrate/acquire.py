"""Taking the locks a rehearsal saw before anything is changed, without making anybody queue behind us.

A waiting ALTER TABLE blocks every later reader for as long as it waits. So the locks are first polled for with NOWAIT,
which never queues; only when that starves on a busy table are there a few tries that wait, each as short as readers can
bear. Call it inside the transaction that will do the work, after `journal.hold`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import LiteralString

import psycopg

from wedsync_db.errors import LockTimeout
from wedsync_db.model import HeldLock
from wedsync_db.postgres.queries import query
from wedsync_db.settings import LockSettings

RETRYABLE = frozenset({"55P03", "40P01"})  # lock_not_available, deadlock_detected

# what each table lock conflicts with, weakest first (PostgreSQL's manual, table 13.2), as pg_locks names them
_MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
_CONFLICTS: Mapping[str, frozenset[str]] = {
    "AccessShareLock": frozenset(_MODES[7:]),
    "RowShareLock": frozenset(_MODES[6:]),
    "RowExclusiveLock": frozenset(_MODES[4:]),
    "ShareUpdateExclusiveLock": frozenset(_MODES[3:]),
    "ShareLock": frozenset({*_MODES[2:4], *_MODES[5:]}),
    "ShareRowExclusiveLock": frozenset(_MODES[2:]),
    "ExclusiveLock": frozenset(_MODES[1:]),
    "AccessExclusiveLock": frozenset(_MODES),
}
_SQL_MODES = {
    "AccessShareLock": "access share",
    "RowShareLock": "row share",
    "RowExclusiveLock": "row exclusive",
    "ShareUpdateExclusiveLock": "share update exclusive",
    "ShareLock": "share",
    "ShareRowExclusiveLock": "share row exclusive",
    "ExclusiveLock": "exclusive",
    "AccessExclusiveLock": "access exclusive",
}
_POLL_SECONDS = (0.005, 0.025)
_BACK_OFF_SECONDS = (0.1, 5.0)  # first and longest pause between the tries that wait
_SAY_SECONDS = 1.0
_NAMED_BLOCKERS = 3


def conflicting(mode: str) -> frozenset[str]:
    """The lock modes that conflict with one, all as pg_locks names them."""
    return _CONFLICTS[mode]


Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Blocker:
    """A backend in our way. `seconds` is the age of its transaction, None where this role may not see it."""

    relation: str
    mode: str
    granted: bool
    pid: int
    application_name: str
    user: str
    state: str
    seconds: float | None

    def __str__(self) -> str:
        """For people: `pid 4711 (psql, user anna, idle in transaction for 8 s) holds AccessShareLock on public.t`."""
        age = f" for {self.seconds:.0f} s" if self.seconds is not None else ""
        who = f"pid {self.pid} ({self.application_name or 'unnamed'}, user {self.user or 'unknown'}, {self.state}{age})"
        return f"{who} {'holds' if self.granted else 'waits for'} {self.mode} on {self.relation}"


def strongest(locks: Iterable[HeldLock]) -> tuple[tuple[str, str], ...]:
    """Each relation once with the weakest mode that conflicts with all that its modes conflict with, sorted by name."""
    wanted: dict[str, frozenset[str]] = {}
    for lock in locks:
        wanted[lock.relation] = wanted.get(lock.relation, frozenset()) | _CONFLICTS[lock.mode]
    return tuple((name, next(m for m in _MODES if _CONFLICTS[m] >= wanted[name])) for name in sorted(wanted))


def back_off(attempt: int, rng: random.Random) -> float:
    """Seconds to pause after the failed try number `attempt` (from 1): exponential, bounded, jittered by half."""
    first, longest = _BACK_OFF_SECONDS
    return float(min(longest, first * 2 ** (attempt - 1)) * rng.uniform(0.5, 1.0))


def take_locks(
    connection: psycopg.Connection,
    locks: Sequence[HeldLock],
    settings: LockSettings,
    say: Say,
    *,
    rng: random.Random | None = None,
) -> int:
    """Lock the tables of `locks` that exist, in a fixed order, until the end of the transaction that is open.

    Returns how many rounds failed: 0 when they were free at once; all of the polling is one round. A table this role
    may not LOCK is left to the statement that needs it, under the session's lock_timeout.

    Raises:
        LockTimeout: neither polling nor the tries after it got them; the message names who was in the way. It has no
            sqlstate: the budget is spent, so this is not to be retried.
    """
    wanted = _existing(connection, strongest(locks))
    if not wanted or _try(connection, wanted, None):
        return 0
    rng = rng or random.Random()  # noqa: S311 - jitter is no secret
    if _poll(connection, wanted, settings.poll_seconds, say, rng):
        return 1
    for attempt in range(1, settings.attempts + 1):
        if _try(connection, wanted, settings.lock_timeout_ms):
            return attempt
        say(f"waiting for locks, try {attempt} of {settings.attempts}: {_in_the_way(connection, wanted)}")
        if attempt < settings.attempts:
            time.sleep(back_off(attempt, rng))
    raise LockTimeout(
        f"the locks were not to be had within the budget: {_in_the_way(connection, wanted)}",
        hint="Nothing was changed. Try again when they have finished, or at a quieter time.",
    )


Wanted = tuple[tuple[str, str], ...]


def _existing(connection: psycopg.Connection, wanted: Wanted) -> Wanted:
    if not wanted:
        return ()
    found = connection.execute(query("acquire", "tables"), [[name for name, _ in wanted]])
    there = {row[0] for row in found}
    return tuple(pair for pair in wanted if pair[0] in there)


def _poll(connection: psycopg.Connection, wanted: Wanted, seconds: float, say: Say, rng: random.Random) -> bool:
    deadline = time.monotonic() + seconds
    said = float("-inf")
    while (now := time.monotonic()) < deadline:
        if now - said >= _SAY_SECONDS:
            say(f"waiting for locks: {_in_the_way(connection, wanted)}")
            said = now
        time.sleep(rng.uniform(*_POLL_SECONDS))
        if _try(connection, wanted, None):
            return True
    return False


def _try(connection: psycopg.Connection, wanted: Wanted, timeout_ms: int | None) -> bool:
    """Take all or none; with a timeout wait that long for each, without one not at all."""
    try:
        with connection.transaction():
            if timeout_ms is not None:
                connection.execute(query("acquire", "wait_at_most"), [f"{timeout_ms}ms"])
            for mode, names in groupby(wanted, key=lambda pair: pair[1]):
                connection.execute(_lock_table([name for name, _ in names], mode, wait=timeout_ms is not None))
    except psycopg.Error as error:
        if error.sqlstate not in RETRYABLE:
            raise
        return False
    return True


def _lock_table(names: Sequence[str], mode: str, *, wait: bool) -> LiteralString:
    """ONLY: a partition or child that has to be locked was seen by itself. The names are quoted already."""
    tables = ", ".join(f"only {name}" for name in names)
    return f"lock table {tables} in {_SQL_MODES[mode]} mode{'' if wait else ' nowait'}"


def _in_the_way(connection: psycopg.Connection, wanted: Wanted) -> str:
    pairs = [(name, conflict) for name, mode in wanted for conflict in sorted(_CONFLICTS[mode])]
    connection.execute(query("acquire", "forget_activity"))
    rows = connection.execute(query("acquire", "blockers"), [[n for n, _ in pairs], [m for _, m in pairs]]).fetchall()
    if not rows:
        return "whoever had them ended just now"
    more = f" and {len(rows) - _NAMED_BLOCKERS} more" if len(rows) > _NAMED_BLOCKERS else ""
    return "; ".join(str(Blocker(*row)) for row in rows[:_NAMED_BLOCKERS]) + more
