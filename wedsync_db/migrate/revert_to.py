"""The operator's verb: revert applied migrations, newest first, down to one that stays."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psycopg

from wedsync_db.errors import Displaced, PersonNeeded, Unreachable, UsageError, WedsyncError
from wedsync_db.migrate import at_risk, decisions, journal, ledger
from wedsync_db.migrate.acquire import Say
from wedsync_db.migrate.deployment import runner_name
from wedsync_db.migrate.execute import NO_WATCH
from wedsync_db.migrate.run import Run
from wedsync_db.migrate.undo import SessionLost, revert_in_session
from wedsync_db.model import DeploymentStatus, LedgerEntry, Migration, MigrationProof
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import LockSettings

NONE = "0"  # as the one that stays: revert everything


def revert_to(
    address: Address,
    migrations: Sequence[Migration],
    to: str,
    *,
    locks: LockSettings,
    say: Say,
    accept_loss: bool = False,
    reason: str = "",
    wait_seconds: float = 10.0,
) -> tuple[str, ...]:
    """Revert what was applied after migration `to` ("0": everything), each in its own transaction; returns the ids.

    Every revert is checked under lock as an unattended one is. `accept_loss` is a person's typed word: risks are then
    said, kept in the journal with the `reason`, and not refused.

    Raises:
        UsageError: `to` is not applied.
        PersonNeeded: one of them would lose something, or is not proven; those reverted before it stay reverted.
        TargetHeld: somebody holds the target.
        Refused: an interrupted deployment has to be recovered first.
    """
    with target_lock(address, "revert", wait_seconds=wait_seconds, say=say) as lock:
        with session(address, "revert") as connection:
            doomed = _above(ledger.entries(connection), to)
            if not doomed:
                return ()
            proofs = _proofs(connection, doomed)
            plan = _found(doomed, {m.id: m for m in migrations})
            _require_licences(plan, proofs, accept_loss=accept_loss)
            why = reason or "no loss was accepted"
            deployment, number = decisions.begin_rung(connection, f"reverted to {to}", reason=why, by=runner_name())
        rng = random.Random()  # noqa: S311 - jitter is no secret
        with decisions.listening(say) as (hear, accepted):
            run = Run(address, deployment, proofs, locks, lock.pid, lambda: None, NO_WATCH, hear, (), rng)
            try:
                return _revert_all(run, plan, accept_loss=accept_loss)
            finally:
                _note(address, number, accepted)


def _above(entries: Sequence[LedgerEntry], to: str) -> tuple[LedgerEntry, ...]:
    """The entries above the one that stays, newest first."""
    ids = [entry.id for entry in entries]
    if to != NONE and to not in ids:
        raise UsageError(f"{to} is not applied", hint=f"Applied: {', '.join(ids) or 'nothing'}; 0 reverts everything.")
    keep = 0 if to == NONE else ids.index(to) + 1
    return tuple(reversed(entries[keep:]))


def _proofs(connection: psycopg.Connection, entries: Sequence[LedgerEntry]) -> Mapping[str, MigrationProof]:
    """What the rehearsal of each migration's own deployment proved."""
    deployments = {entry.deployment_id for entry in entries}
    known = {d: {p.migration: p for p in journal.proofs(connection, d)} for d in deployments}
    return {e.id: known[e.deployment_id][e.id] for e in entries if e.id in known[e.deployment_id]}


def _found(entries: Sequence[LedgerEntry], migrations: Mapping[str, Migration]) -> tuple[Migration, ...]:
    missing = [entry.id for entry in entries if entry.id not in migrations]
    if missing:
        raise UsageError(
            f"the files of {', '.join(missing)} are not there", hint="Check out the version that deployed them."
        )
    return tuple(migrations[entry.id] for entry in entries)


def _require_licences(plan: Sequence[Migration], proofs: Mapping[str, MigrationProof], *, accept_loss: bool) -> None:
    risks = tuple(reason for m in plan for reason in at_risk.unlicensed(m, proofs.get(m.id)))
    if risks and not accept_loss:
        raise PersonNeeded(
            f"nothing was reverted: {risks[0]}", hint="Accept the loss, or mend it with a new migration.", at_risk=risks
        )


def _note(address: Address, number: int, accepted: Sequence[str]) -> None:
    """Keep what was accepted; where the server is gone, who reverted and why is there all the same."""
    if accepted:
        with suppress(Unreachable, psycopg.Error), session(address, "revert") as connection:
            decisions.add_risks(connection, number, accepted)


def _revert_all(run: Run, plan: Sequence[Migration], *, accept_loss: bool) -> tuple[str, ...]:
    done: list[str] = []
    try:
        for migration in plan:
            revert_in_session(run, migration, run.proofs.get(migration.id), accept_loss=accept_loss)
            done.append(migration.id)
            run.say(f"reverted {migration.id}")
    except SessionLost:
        raise Unreachable("the server was lost", hint="When it is back: `recover`, then `revert` again.") from None
    except Displaced:
        raise
    except WedsyncError as error:
        _close(run, DeploymentStatus.PERSON_NEEDED, f"{error.message}; reverted: {', '.join(done) or 'nothing'}")
        raise
    _close(run, DeploymentStatus.DONE, f"reverted {', '.join(done)}")
    return tuple(done)


def _close(run: Run, status: DeploymentStatus, message: str) -> None:
    with session(run.address, "revert") as connection:
        journal.finish(connection, run.deployment, status, message, fingerprint.take(connection).digest)
