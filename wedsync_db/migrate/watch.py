"""Tracing a migration on a scratch server: what every statement locks, scans, rewrites and writes.

Two sessions look at each statement. The traced one itself knows what it read and which tables got new files. An
observer reads its locks: only from outside do the names of dropped objects still resolve, and what cannot be resolved
there is new. A statement that is a transaction of its own (CREATE INDEX CONCURRENTLY) has given its locks back when it
ends, so a thread looks while it runs; locks held for less than a few milliseconds may escape it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import psycopg
from psycopg.pq import TransactionStatus

from wedsync_db.model import LockSeen, Statement, TracedStatement
from wedsync_db.postgres.queries import query

_SAMPLE_SECONDS = 0.005

# relation's oid, mode → name and relkind as the observer sees them, None for what it cannot see
_Locks = Mapping[tuple[int, str], tuple[str, str] | None]


@dataclass(frozen=True, slots=True)
class _Inside:
    """What the traced session says about its tables, by oid: name, file number, tuples read by sequential scans."""

    names: Mapping[int, str]
    files: Mapping[int, int]
    tuples: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class _Before:
    """The state just before a statement."""

    inside: _Inside
    locks: _Locks
    wal: int
    sampler: _Sampler | None
    started: float


class Tracer:
    """A Watch that measures. One for each copy; `statements()` tells what it saw.

    Args:
        traced: the session that runs the migration.
        observer: a superuser's autocommit session with the same database, used for nothing else meanwhile.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        traced: psycopg.Connection,
        observer: psycopg.Connection,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._traced, self._observer, self._clock = traced, observer, clock
        self._pid = traced.info.backend_pid
        self._before: _Before | None = None
        self._seen: list[tuple[TracedStatement, _Locks]] = []
        observer.execute("set stats_fetch_consistency = none")

    def before(self, migration_id: str, index: int, statement: Statement) -> None:  # noqa: ARG002 - the protocol's
        """Look at the state before the statement; its clock starts last."""
        alone = self._traced.info.transaction_status is TransactionStatus.IDLE
        inside = self._inside(alone)
        locks: _Locks = {} if alone else locks_of(self._observer, self._pid)
        wal = _wal(self._observer)
        sampler = _Sampler(self._observer, self._pid).start() if alone else None
        self._before = _Before(inside, locks, wal, sampler, self._clock())

    def after(self, migration_id: str, index: int, statement: Statement, rows: int) -> None:
        """Look at what the statement did; its clock stops first."""
        ended = self._clock()
        before, self._before = self._before, None
        if before is None:
            raise RuntimeError("a statement ended that never began")
        sampled = before.sampler.stop() if before.sampler else {}
        locks = sampled if before.sampler else locks_of(self._observer, self._pid)
        wal = _wal(self._observer) - before.wal
        after = self._inside(before.sampler is not None)
        traced = TracedStatement(
            migration_id,
            index,
            statement.line,
            statement.kind,
            statement.sql,
            seconds=ended - before.started,
            rows=rows,
            wal_bytes=wal,
            rewrites=_rewrites(statement, before.inside, after),
            scans=_scans(before.inside, after),
        )
        self._seen.append((traced, {key: name for key, name in locks.items() if key not in before.locks}))

    def abandon(self) -> None:
        """A statement failed, or the run is interrupted: the thread that looks at it ends. Safe to call always."""
        before, self._before = self._before, None
        if before and before.sampler:
            with suppress(psycopg.Error):
                before.sampler.stop()

    def statements(self) -> tuple[TracedStatement, ...]:
        """What was traced so far, with the names that new relations have by now. Call it after the commit."""
        unknown = {oid for _, locks in self._seen for (oid, _), name in locks.items() if name is None}
        names: dict[int, str] = dict(self._observer.execute(query("watch", "names"), [list(unknown)]).fetchall())
        return tuple(replace(s, locks=_told(locks, names)) for s, locks in self._seen)

    def _inside(self, alone: bool) -> _Inside:
        rows = self._traced.execute(query("watch", "inside")).fetchall()
        tuples = {oid: read for oid, _, _, read in rows}
        if alone:
            self._traced.execute(query("watch", "flush"))
            tuples = dict(self._observer.execute(query("watch", "outside_counters")).fetchall())
        return _Inside({r[0]: r[1] for r in rows}, {r[0]: r[2] for r in rows}, tuples)


def locks_of(observer: psycopg.Connection, pid: int) -> _Locks:
    """The relation locks a backend holds now, as another session sees them."""
    rows = observer.execute(query("watch", "locks"), [pid]).fetchall()
    return {(oid, mode): (name, kind) if kind else None for oid, mode, name, kind in rows}


class _Sampler:
    """A thread that collects the locks of a backend while one statement runs."""

    def __init__(self, observer: psycopg.Connection, pid: int) -> None:
        self._observer, self._pid = observer, pid
        self._seen: dict[tuple[int, str], tuple[str, str] | None] = {}
        self._ended = threading.Event()
        self._error: psycopg.Error | None = None
        self._thread = threading.Thread(target=self._run, name="wedsync-db-sampler", daemon=True)

    def start(self) -> _Sampler:
        self._thread.start()
        return self

    def stop(self) -> _Locks:
        self._ended.set()
        self._thread.join()
        if self._error:
            raise self._error
        return self._seen

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                # a name seen once is kept: what is dropped at the end was there before
                found = locks_of(self._observer, self._pid)
                self._seen.update({key: name for key, name in found.items() if self._seen.get(key) is None})
                self._ended.wait(_SAMPLE_SECONDS)
        except psycopg.Error as error:
            self._error = error


def _wal(observer: psycopg.Connection) -> int:
    return int(observer.execute(query("watch", "wal")).fetchall()[0][0])


def _rewrites(statement: Statement, before: _Inside, after: _Inside) -> tuple[str, ...]:
    """Tables that were there and have another file now. TRUNCATE gives one too, and that costs nothing."""
    if statement.kind == "TruncateStmt":
        return ()
    changed = (oid for oid, file in after.files.items() if before.files.get(oid, file) != file)
    return tuple(sorted(after.names[oid] for oid in changed))


def _scans(before: _Inside, after: _Inside) -> tuple[tuple[str, int], ...]:
    """Tables that were there and were read from end to end, with the tuples read."""
    read = {oid: after.tuples.get(oid, 0) - before.tuples.get(oid, 0) for oid in before.names}
    return tuple(sorted((before.names[oid], tuples) for oid, tuples in read.items() if tuples > 0))


def _told(locks: _Locks, names: Mapping[int, str]) -> tuple[LockSeen, ...]:
    """Locks for people, sorted. New relations without a name are indexes, sequences, or gone again: left out."""
    seen = {LockSeen(name[0], mode, preexisting=True) for (_, mode), name in locks.items() if name}
    seen |= {
        LockSeen(names[oid], mode, preexisting=False)
        for (oid, mode), name in locks.items()
        if not name and oid in names
    }
    return tuple(sorted(seen, key=lambda lock: (lock.relation, lock.mode)))
