"""Finishing or undoing what an interrupted deployment left. Safe to kill and to run again at any moment.

The journal in the target says what was under way. Its old backend is ended and its epoch raised, so that the old
runner, should it still live, can commit nothing more. Then only two ends are possible: everything was applied and the
catalog changed exactly as rehearsed, and the bookkeeping is finished; or what was committed is taken back by the ladder
of roll_back.py. Whoever deploys again can have it gone on with instead of being asked what to do about half a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from wedsync_db.migrate import journal, ledger
from wedsync_db.migrate.acquire import Say
from wedsync_db.migrate.deployment import runner_name
from wedsync_db.migrate.go_on import go_on, what_is_left
from wedsync_db.migrate.roll_back import roll_back
from wedsync_db.model import Change, Deployment, DeploymentStatus, Fingerprint, Migration, MigrationProof
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import LockSettings


@dataclass(frozen=True, slots=True)
class Recovery:
    """How an interrupted deployment ended: DONE or ROLLED_BACK, and that in one line for people."""

    deployment_id: str
    ended: DeploymentStatus
    message: str
    started_at: datetime | None = None


def recover(
    address: Address,
    migrations: Sequence[Migration],
    *,
    locks: LockSettings,
    say: Say,
    clock: Callable[[], datetime],
    wait_seconds: float = 10.0,
    going_on: Callable[[], None] | None = None,
) -> tuple[Recovery, ...]:
    """Finish or undo each interrupted deployment of this database, under the target lock; nothing where there is none.

    With `going_on` a non-transactional file that is half done, and that only a person could undo, is finished together
    with what was to come after it; it is called before each transaction, and may raise to stop there.

    Raises:
        TargetHeld: somebody holds the target, the deployment's own runner perhaps; nothing was touched.
        PersonNeeded: undoing would lose something; `at_risk` says what, the message what is applied now.
        Unreachable: the server is not there.
    """
    if not _unfinished(address):
        return ()
    with target_lock(address, "recover", wait_seconds=wait_seconds, say=say) as lock:
        return tuple(
            _recover(
                address, migrations, deployment, locks=locks, say=say, now=clock(), lock_pid=lock.pid, going_on=going_on
            )
            for deployment in _unfinished(address)
        )


def unwound(now: Fingerprint, changes: Sequence[Change]) -> Fingerprint | None:
    """The catalog as it was before these changes, made in this order; None when it is not as they left it."""
    objects = dict(now.objects)
    for change in reversed(changes):
        for name, (before, after) in change.objects.items():
            if objects.pop(name, None) != after:
                return None
            if before is not None:
                objects[name] = before
    return Fingerprint(objects)


def _unfinished(address: Address) -> tuple[Deployment, ...]:
    with session(address, "recover") as connection:
        return journal.unfinished(connection)


def _recover(
    address: Address,
    migrations: Sequence[Migration],
    deployment: Deployment,
    *,
    locks: LockSettings,
    say: Say,
    now: datetime,
    lock_pid: int,
    going_on: Callable[[], None] | None,
) -> Recovery:
    age = (now - deployment.started_at).total_seconds()
    say(f"deployment {deployment.id} of {deployment.runner}, begun {age:.0f} s ago, was interrupted")
    with session(address, "recover") as connection:
        ledger.install(connection)  # an earlier version may have begun it
        journal.end_backend(connection, deployment)
        ours = journal.raise_epoch(connection, deployment, runner=runner_name())
        proofs = journal.proofs(connection, ours.id)
        if _is_complete(connection, ours, proofs):
            return _finish(connection, ours, say)
        left = what_is_left(connection, ours, migrations) if going_on else None
    if left and going_on:
        ended = go_on(address, ours, left, proofs, locks=locks, lock_pid=lock_pid, between=going_on, say=say)
        if ended and (finished := _finished(address, ours, proofs, say)):
            return finished
    done = roll_back(
        address, ours, migrations, proofs, locks=locks, say=say, lock_pid=lock_pid, reason="it was interrupted"
    )
    said = f"deployment {ours.id} was undone: {done.message}"
    return Recovery(ours.id, DeploymentStatus.ROLLED_BACK, said, ours.started_at)


def _finished(address: Address, deployment: Deployment, proofs: Sequence[MigrationProof], say: Say) -> Recovery | None:
    with session(address, "recover") as connection:
        return _finish(connection, deployment, say) if _is_complete(connection, deployment, proofs) else None


def _is_complete(connection: psycopg.Connection, deployment: Deployment, proofs: Sequence[MigrationProof]) -> bool:
    """Whether only the last bookkeeping is missing: all is in the ledger, and the catalog changed as rehearsed."""
    planned = journal.migrations(connection, deployment.id)
    if not planned:
        return True  # an operator's revert: what it has committed is meant to stay
    if not set(planned) <= set(_applied(connection, deployment)):
        return False
    known = {p.migration: p.change for p in proofs}
    changes = [known.get(migration) for migration in planned]
    if any(change is None for change in changes):
        return True  # without a rehearsal there is nothing to compare with
    before = unwound(fingerprint.take(connection), [change for change in changes if change is not None])
    return before is not None and before.digest == deployment.fingerprint_before


def _applied(connection: psycopg.Connection, deployment: Deployment) -> tuple[str, ...]:
    return tuple(e.id for e in ledger.entries(connection) if e.deployment_id == deployment.id)


def _finish(connection: psycopg.Connection, deployment: Deployment, say: Say) -> Recovery:
    message = "finished by recover: what had been committed stays"
    after = fingerprint.take(connection).digest
    journal.finish(connection, deployment, DeploymentStatus.DONE, message, after)
    say(f"deployment {deployment.id} is {message}")
    said = f"deployment {deployment.id} was {message}"
    return Recovery(deployment.id, DeploymentStatus.DONE, said, deployment.started_at)
