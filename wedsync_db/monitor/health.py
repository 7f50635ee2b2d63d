"""Is the database well, now? Each check asks one question, three seconds for all; what cannot be asked is unknown."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from wedsync_db.errors import WedsyncError
from wedsync_db.monitor.alerts import REACHABLE
from wedsync_db.monitor.judge import RUNBOOK, judge, not_asked, unknown, worst
from wedsync_db.monitor.keys import used_up
from wedsync_db.monitor.states import Checked, State
from wedsync_db.monitor.thresholds import Threshold, limits
from wedsync_db.postgres.disk import ELSEWHERE, Room, data_room
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import QUICK, Address, session

BUDGET_SECONDS = 3.0
_CONNECT_SECONDS = 2  # the least that libpq takes
_STATEMENT_SECONDS = 1
_LOCK_TIMEOUT_MS = 100  # a question that waits for a lock is a client more in the queue
_BETWEEN_LOOKS_SECONDS = 0.4
_LEAST_BLOCKS, _LEAST_TRANSACTIONS = 10_000, 100  # fewer say nothing about a ratio
_LARGE_TABLE_BYTES = 1 << 30
_SLOTS_SAY_SINCE = 170_000  # the server version from which on a slot says since when it is unused
_NOT_HERE = f"{ELSEWHERE}, and set health.disk_free off"
_SESSIONS_HIDDEN = "{} sessions do not show what they do: grant pg_read_all_stats to this role"
_SAYS_NOTHING = "the server does not say (SQLSTATE {})"
_SILENT = {
    "42501": "this role may not ask: grant pg_monitor to it",
    "55P03": "it would have waited for a lock",
    "57014": f"it took longer than {_STATEMENT_SECONDS} s",
}
_OF_SESSIONS = frozenset({"idle_in_transaction", "oldest_snapshot", "blocked"})
_ASKED = (
    "connections", "blocked", "idle_in_transaction", "oldest_snapshot", "prepared_transaction", "wraparound",
    "replica_lag", "replication_slot", "archiver", "invalid_index", "sequence", "autovacuum", "table_bloat",
    "stale_statistics",
)  # fmt: skip
_OF_COUNTERS = ("cache_hit", "rollbacks", "deadlocks", "checksum_failures")
# what is asked instead of a question that this role may not ask
_INSTEAD: Mapping[str, LiteralString] = {"archiver": "archiver_counted"}


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """When the newest complete backup was made, and the newest that was restored and compared; None: none known."""

    complete_at: datetime | None
    restored_at: datetime | None


@dataclass(frozen=True, slots=True)
class Counters:
    """What is looked at twice, within one epoch. `checksum_failures` is None where data has no checksums."""

    at: float  # monotonic or any other clock in seconds, the same for both looks
    epoch: str
    commits: int
    rollbacks: int
    hits: int
    reads: int
    deadlocks: int
    checksum_failures: int | None


def look(
    address: Address,
    overrides: Mapping[str, Mapping[str, float | bool]],
    *,
    now: Callable[[], datetime],
    backups: BackupFacts | None = None,
    before: Counters | None = None,
) -> tuple[Checked, ...]:
    """Every check that is not switched off, the worst first. Never raises: a server that is gone is unhealthy.

    Args:
        address: The database.
        overrides: The environment's own limits, by check.
        now: The clock, for the age of backups.
        backups: What is known of backups; None where nothing keeps them here.
        before: An earlier look at the counters; without one it looks twice within half a second.
    """
    chosen = limits(overrides)
    try:
        with _asking(address) as connection:
            found = list(_checks(connection, chosen, before))
    except (WedsyncError, psycopg.Error) as error:
        said = error.message if isinstance(error, WedsyncError) else _lost(error)
        gone = Checked(REACHABLE, State.UNHEALTHY, None, "", (said,), runbook=f"{RUNBOOK}#{REACHABLE}")
        return (gone, *_of_backups(chosen, backups, now()))
    reachable = Checked(REACHABLE, State.HEALTHY, None, "", runbook=f"{RUNBOOK}#{REACHABLE}")
    return worst([reachable, *found, *_of_backups(chosen, backups, now())])


def blocking_tree(address: Address) -> tuple[tuple[Any, ...], ...]:
    """Who waits for whom: depth, pid, user, application, state, seconds waited, lock mode, object; roots at depth 0.

    Raises:
        Unreachable: no session could be opened.
        psycopg.Error: the server did not answer, or not in time.
    """
    with _asking(address) as connection:
        return tuple(connection.execute(query("health", "blocking_tree"), {}).fetchall())


def counters(connection: psycopg.Connection, clock: Callable[[], float] = time.monotonic) -> Counters:
    """One look at what has to be looked at twice."""
    row = connection.execute(query("health", "counters"), {}).fetchall()[0]
    return Counters(clock(), *row)


@contextmanager
def _asking(address: Address) -> Iterator[psycopg.Connection]:
    """A session that is over when the time is up, from this side: a server that stands still ends nothing by itself."""
    quickly = replace(address, parameters={**address.parameters, "connect_timeout": str(_CONNECT_SECONDS)})
    with (
        session(
            quickly,
            "health",
            lock_timeout_ms=_LOCK_TIMEOUT_MS,
            statement_timeout_ms=_STATEMENT_SECONDS * 1000,
            settings=QUICK,
        ) as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as wire,
    ):
        timer = threading.Timer(BUDGET_SECONDS + _STATEMENT_SECONDS, _hang_up, [wire])
        timer.daemon = True
        timer.start()
        try:
            yield connection
        finally:
            timer.cancel()


def _hang_up(wire: socket.socket) -> None:
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def _lost(error: psycopg.Error) -> str:
    said = f"SQLSTATE {error.sqlstate}" if error.sqlstate else "it stopped answering"
    return f"the session with the server was lost: {said}"


def _checks(
    connection: psycopg.Connection, chosen: Mapping[str, Threshold], before: Counters | None
) -> Iterator[Checked]:
    deadline = time.monotonic() + BUDGET_SECONDS
    earlier = before or _counted(connection)
    looked = time.monotonic()
    room, no_room = data_room(connection)
    known = {
        "least_bytes": _LARGE_TABLE_BYTES,
        "free_bytes": room.free if room else None,
    }
    hidden = connection.execute(query("health", "hidden"), {}).fetchall()[0][0]
    for name in _ASKED:
        if name in chosen:
            yield from _asked(connection, name, chosen[name], known, deadline)
            if hidden and name in _OF_SESSIONS:
                yield unknown(name, chosen[name], _SESSIONS_HIDDEN.format(hidden))
    if "disk_free" in chosen:
        yield _disk(chosen["disk_free"], room, no_room if no_room != ELSEWHERE else _NOT_HERE)
    if before is None:
        time.sleep(max(0.0, _BETWEEN_LOOKS_SECONDS - (time.monotonic() - looked)))
    later = _counted(connection) if earlier else None
    if earlier and later:
        yield from of_counters(chosen, earlier, later)
    else:
        silent = "the server does not tell this role its counters"
        yield from (unknown(name, chosen[name], silent) for name in _OF_COUNTERS if name in chosen)


def _counted(connection: psycopg.Connection) -> Counters | None:
    try:
        return counters(connection)
    except psycopg.Error:
        if connection.closed:
            raise
        return None


def _asked(
    connection: psycopg.Connection, name: str, threshold: Threshold, known: Mapping[str, Any], deadline: float
) -> Iterator[Checked]:
    """A check's rows, judged; a question without an answer is unknown and keeps none of the others from being asked."""
    if time.monotonic() > deadline:
        yield unknown(name, threshold, f"there was no time left of {BUDGET_SECONDS:.0f} s")
        return
    try:
        rows = _rows(connection, name, known, deadline)
    except psycopg.Error as error:
        if connection.closed:
            raise
        yield unknown(name, threshold, _SILENT.get(error.sqlstate or "", _SAYS_NOTHING.format(error.sqlstate)))
        return
    for subject, observed, evidence, *said in rows:
        at_least = said[0] if said else None
        if at_least == "not asked":
            yield not_asked(name, threshold, evidence)
        else:
            yield judge(name, threshold, observed, evidence, subject=subject, at_least=State(at_least or "healthy"))
    if not rows:
        yield judge(name, threshold, 0.0 if threshold.higher_is_worse else 1.0)


def _rows(
    connection: psycopg.Connection, name: str, known: Mapping[str, Any], deadline: float
) -> Sequence[tuple[Any, ...]]:
    if name == "sequence":
        return used_up(connection, deadline)
    try:
        return connection.execute(_text(connection, name), known).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        if name not in _INSTEAD:
            raise
        return connection.execute(query("health", _INSTEAD[name]), known).fetchall()


def _text(connection: psycopg.Connection, name: str) -> LiteralString:
    text = query("health", name)
    if name != "replication_slot":
        return text
    written_down = connection.info.server_version >= _SLOTS_SAY_SINCE
    since = "extract(epoch from pg_catalog.clock_timestamp() - s.inactive_since)::double precision"
    return text.replace("{inactive}", since if written_down else "null::double precision")


def of_counters(chosen: Mapping[str, Threshold], before: Counters, after: Counters) -> Iterator[Checked]:
    """What two looks at the counters say. Pure; what began anew in between is unknown."""
    anew = "the counters began anew between two looks"
    hits, reads = after.hits - before.hits, after.reads - before.reads
    commits, rollbacks = after.commits - before.commits, after.rollbacks - before.rollbacks
    minutes = max(after.at - before.at, 60.0) / 60
    failures = None if after.checksum_failures is None else after.checksum_failures - (before.checksum_failures or 0)
    values = {
        "cache_hit": (
            hits / (hits + reads) if hits + reads >= _LEAST_BLOCKS else 1.0,
            f"{reads} of {hits + reads} blocks were not in memory",
        ),
        "rollbacks": (
            rollbacks / (commits + rollbacks) if commits + rollbacks >= _LEAST_TRANSACTIONS else 0.0,
            f"{rollbacks} of {commits + rollbacks} transactions were rolled back",
        ),
        "deadlocks": (
            (after.deadlocks - before.deadlocks) / minutes,
            f"{after.deadlocks - before.deadlocks} deadlocks",
        ),
        "checksum_failures": (failures, "data checksums are off" if failures is None else _pages(failures)),
    }
    for name, (value, evidence) in values.items():
        if name not in chosen:
            continue
        if before.epoch != after.epoch:
            yield unknown(name, chosen[name], anew)
        elif name == "checksum_failures" and value is None:
            yield judge(name, chosen[name], 0.0, evidence)  # switched off is a choice, and no failure
        else:
            yield judge(name, chosen[name], value, evidence)


def _pages(failures: int) -> str:
    if not failures:
        return "no page was found wrong"
    return f"{failures} reads of a page that is not as it was written: the server's log names it"


def _disk(threshold: Threshold, room: Room | None, why: str) -> Checked:
    if room is None:
        return unknown("disk_free", threshold, why)
    return judge("disk_free", threshold, room.free / room.total, f"{room.free >> 20} MiB free")


def _of_backups(chosen: Mapping[str, Threshold], facts: BackupFacts | None, now: datetime) -> Iterator[Checked]:
    complete, restored = (facts.complete_at, facts.restored_at) if facts else (None, None)
    known = {
        "backup_age": (complete, "no complete backup is known"),
        "drill_age": (restored, "no backup was ever restored and compared"),
    }
    for name, (at, none) in known.items():
        if name in chosen:
            age = (now - at).total_seconds() if at else None
            yield judge(name, chosen[name], age, f"{at:%Y-%m-%d %H:%M} UTC" if at else none)
