"""What one call of `apply` carries through its transactions, and what each of them needs: fence, retry, reset."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from wedsync_db.errors import Displaced, LockTimeout, MigrationFailed, WedsyncError
from wedsync_db.migrate import journal
from wedsync_db.migrate.acquire import RETRYABLE, Say, back_off
from wedsync_db.migrate.execute import Watch
from wedsync_db.migrate.explain import describe
from wedsync_db.model import Deployment, MigrationProof
from wedsync_db.postgres.locks import held_by
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address
from wedsync_db.settings import LockSettings

# the server ended the session: admin_shutdown, crash_shutdown, cannot_connect_now
_ENDED = frozenset({"57P01", "57P02", "57P03"})

Invariant = Callable[[psycopg.Connection], None]


@dataclass(frozen=True, slots=True)
class Run:
    """One call of `apply`. `lock_pid` is the backend that has to hold the target; None on a database of our own."""

    address: Address
    deployment: Deployment
    proofs: Mapping[str, MigrationProof]
    settings: LockSettings
    lock_pid: int | None
    between: Callable[[], None]
    watch: Watch
    say: Say
    invariants: Sequence[Invariant]
    rng: random.Random


class CommitLost(Exception):
    """The session was lost in COMMIT: whether it happened is for a new session to find out."""


@contextmanager
def fenced(connection: psycopg.Connection, run: Run) -> Iterator[None]:
    """A transaction that commits only if this runner is still the one: its epoch, and its hold on the target.

    Raises:
        Displaced: it is not; nothing was committed.
        MigrationFailed: the server refused something outside of a script, COMMIT or its session included.
        CommitLost: it is not known whether COMMIT happened.
    """
    try:
        connection.execute(query("apply", "begin"))
        journal.hold(connection, run.deployment)
        yield
        require_open(connection, "something")
        require_ours(connection, run)
    except psycopg.Error as error:
        _roll_back(connection)
        raise _outside_of_scripts(error) from None
    except BaseException:
        _roll_back(connection)
        raise
    _commit(connection)


def require_ours(connection: psycopg.Connection, run: Run) -> None:
    """Raise Displaced unless our lock session still holds the target."""
    if run.lock_pid is not None and not held_by(connection, run.lock_pid):
        raise Displaced(
            "our lock on the target is gone: its session was ended; nothing more was committed",
            hint="Look at `status`, then run `recover`.",
        )


def require_open(connection: psycopg.Connection, who: str) -> None:
    """Raise MigrationFailed, naming `who`, if the transaction is no longer open."""
    if connection.info.transaction_status is not TransactionStatus.INTRANS:
        raise MigrationFailed(
            f"{who} ended the transaction it runs in",
            hint="Take COMMIT and ROLLBACK out of it.",
        )


def retrying(run: Run, attempt: Callable[[], int]) -> int:
    """Call `attempt` until it succeeds, as often as the settings allow, pausing between. A failed one left nothing.

    Only a lock not available and a deadlock are worth another try. Returns what `attempt` returned plus the failures.
    """
    failures = 0
    while True:
        try:
            return attempt() + failures
        except MigrationFailed as error:
            failures += 1
            if error.sqlstate not in RETRYABLE or failures >= run.settings.attempts:
                raise
            run.say(f"{error.message}; trying again ({failures} of {run.settings.attempts})")
        time.sleep(back_off(failures, run.rng))


def reset(connection: psycopg.Connection, address: Address) -> None:
    """Take back every SET of a script, so that none leaks into the next: settings, role and session authorization."""
    connection.execute("; ".join(resets(address)))


def resets(address: Address) -> tuple[str, ...]:
    """The statements of `reset`, in their order: each undoes what the one before it cannot."""
    authorization = _identifier(address.session_authorization) if address.session_authorization else "default"
    role = _identifier(address.role) if address.role else "none"
    return (f"set session authorization {authorization}", f"set role {role}", "reset all")


def _identifier(name: str) -> str:
    return sql.Identifier(name).as_string()


def _roll_back(connection: psycopg.Connection) -> None:
    """After a signal a statement may still be running: then closing the session, which its owner does, ends it."""
    if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        with suppress(psycopg.Error):
            connection.execute(query("apply", "rollback"))


def _commit(connection: psycopg.Connection) -> None:
    try:
        done = connection.execute(query("apply", "commit"))
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if connection.closed or state in _ENDED or state.startswith("08"):
            raise CommitLost from None
        raise _outside_of_scripts(error) from None
    if done.statusmessage != "COMMIT":
        raise MigrationFailed(f"COMMIT was answered with {done.statusmessage}: nothing was committed")


def _outside_of_scripts(error: psycopg.Error) -> WedsyncError:
    kind = LockTimeout if error.sqlstate == "55P03" else MigrationFailed
    return kind(f"{describe(error)}; nothing was committed", sqlstate=error.sqlstate)
