"""The two advisory locks of a target, each on a direct session of its own.

The *target* key serialises what must not overlap: backup, migration, maintenance, load test. The *announcement* key
says that a deployment wants the target: it is held for the deployment's whole run, excludes a second one, and long jobs
that hold the target poll `announced` and yield. Both are polled and never waited for, and end with their session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import psycopg

from wedsync_db.errors import Displaced, TargetHeld
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.server import require_session
from wedsync_db.postgres.session import Address, session

_OURS = 0x57454453  # "WEDS": first half of both keys
_TARGET = 1
_ANNOUNCEMENT = 2
_POLL_SECONDS = 0.1
_SAY_SECONDS = 5.0
# a lock session is idle for hours: nothing may end it for that
_PATIENT = {"idle_session_timeout": "0", "idle_in_transaction_session_timeout": "0"}


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a key. `since` is the start of the lock's own session; None where this role may not see it."""

    pid: int
    application_name: str
    user: str
    client: str | None  # address; None over a socket, or where this role may not see it
    since: datetime | None

    def __str__(self) -> str:
        """For people: `wedsync-db/backup (pid 4711, user wedsync, from 10.0.0.7) since 2026-06-07 14:30:00 UTC`."""
        where = f", from {self.client}" if self.client else ""
        since = f" since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S %Z}" if self.since else ""
        return f"{self.application_name or 'unnamed session'} (pid {self.pid}, user {self.user}{where}){since}"


@dataclass(frozen=True, slots=True)
class TargetLock:
    """A held key; `pid` is the backend that holds it, for `held_by` from another session."""

    pid: int
    _connection: psycopg.Connection = field(repr=False)
    _key: int

    def check(self) -> None:
        """Ask the server whether we still hold the lock.

        Raises:
            Displaced: the session ended, or no longer holds it.
        """
        try:
            held = _held(self._connection, self._key, self.pid)
        except psycopg.OperationalError:
            held = False
        if not held:
            raise Displaced(
                "our lock on the target is gone", hint="Its session was ended. Look at `status`, then `recover`."
            )


@contextmanager
def target_lock(
    address: Address, purpose: str, *, wait_seconds: float, say: Callable[[str], None]
) -> Iterator[TargetLock]:
    """Hold the target for this block, as `wedsync-db/<purpose>`; wait up to `wait_seconds` for whoever has it.

    Raises:
        TargetHeld: somebody still had it; the message names who and since when.
        Refused: a pooler stands between us and the server, and gives no session.
        Unreachable: no session could be opened.
    """
    with _locked(address, purpose, _TARGET, wait_seconds, say) as lock:
        yield lock


@contextmanager
def announce(
    address: Address, *, wait_seconds: float = 0.0, say: Callable[[str], None] = lambda _: None
) -> Iterator[TargetLock]:
    """Announce a deployment for this block; long jobs then yield the target.

    Raises:
        TargetHeld: another deployment is under way; the message names it.
        Unreachable: no session could be opened.
    """
    with _locked(address, "deployment", _ANNOUNCEMENT, wait_seconds, say) as lock:
        yield lock


def holder(connection: psycopg.Connection) -> Holder | None:
    """Who holds the target, None if nobody does."""
    return _holder(connection, _TARGET)


def announced(connection: psycopg.Connection) -> Holder | None:
    """The deployment that is under way or waits for the target, None if there is none."""
    return _holder(connection, _ANNOUNCEMENT)


def held_by(connection: psycopg.Connection, pid: int) -> bool:
    """Whether the backend `pid` holds the target now; asked from any session of the same database."""
    return _held(connection, _TARGET, pid)


@contextmanager
def _locked(
    address: Address, purpose: str, key: int, wait_seconds: float, say: Callable[[str], None]
) -> Iterator[TargetLock]:
    plain = replace(address, role=None)
    with session(plain, purpose, settings=_PATIENT) as connection:
        pid = require_session(connection)
        _acquire(connection, key, wait_seconds, say)
        try:
            yield TargetLock(pid, connection, key)
        finally:
            # the session's end would do, but only a moment after we are gone: whoever comes next need not wait for that
            with suppress(psycopg.Error):
                connection.execute(query("locks", "release"), [_OURS, key])


def _acquire(connection: psycopg.Connection, key: int, wait_seconds: float, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + wait_seconds
    said = float("-inf")
    while not _flag(connection, "try", [_OURS, key]):
        now = time.monotonic()
        who = _holder(connection, key)
        if now >= deadline:
            raise _target_held(key, who)
        if now - said >= _SAY_SECONDS:
            say(f"waiting for the target: {who or 'somebody'} holds it")
            said = now
        time.sleep(min(_POLL_SECONDS, max(0.0, deadline - now)))


def _target_held(key: int, who: Holder | None) -> TargetHeld:
    what = "another deployment is under way" if key == _ANNOUNCEMENT else "the target is held"
    return TargetHeld(
        f"{what}: {who or 'its holder ended just now'}",
        hint="Wait until it has finished; its lock ends with its session, so there is nothing to unlock by hand.",
    )


def _holder(connection: psycopg.Connection, key: int) -> Holder | None:
    with connection.transaction(force_rollback=True):
        # under SET ROLE a session may not see since when its own login's sessions are there
        connection.execute("set local role none")
        row = connection.execute(query("locks", "holder"), [_OURS, key]).fetchone()
    return Holder(*row) if row else None


def _held(connection: psycopg.Connection, key: int, pid: int) -> bool:
    return _flag(connection, "held_by", [_OURS, key, pid])


def _flag(connection: psycopg.Connection, name: str, values: list[int]) -> bool:
    row = connection.execute(query("locks", name), values).fetchone()
    return bool(row and row[0])
