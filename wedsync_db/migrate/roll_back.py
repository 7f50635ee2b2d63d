"""The ladder after a failed deployment: abort, clean up, revert what was committed; or stop for a person.

Everything is decided from ledger and journal, and every rung may be taken twice: after a lost session or a kill the
next call goes on where the last one was. Licences are asked for all committed migrations before the first is reverted;
what is at risk can only be told under lock, one migration after the other, newest first. The first that cannot be
reverted stops the ladder: those above it are gone, it and those below it stay, and the message says which.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import psycopg

from wedsync_db.errors import MigrationFailed, PersonNeeded, Unreachable
from wedsync_db.migrate import at_risk, debris, decisions, journal, ledger
from wedsync_db.migrate.acquire import Say
from wedsync_db.migrate.deployment import runner_name
from wedsync_db.migrate.execute import NO_WATCH
from wedsync_db.migrate.revert import person_needed
from wedsync_db.migrate.run import Run
from wedsync_db.migrate.undo import SessionLost, revert_in_session
from wedsync_db.model import Deployment, DeploymentStatus, Fingerprint, Migration, MigrationProof, RolledBack
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import LockSettings

_RECONNECT_SECONDS = 30.0
_PAUSE_SECONDS = 0.5
_NAMED_OBJECTS = 5  # how many differing objects a message names


@dataclass(frozen=True, slots=True)
class _Ladder:
    """One roll back: the run that fences it, the files, the catalog before where it is known, a person's word."""

    run: Run
    migrations: Mapping[str, Migration]
    before: Fingerprint | None
    approved: bool
    reason: str


def roll_back(  # noqa: PLR0913 - what is undone where, and whose word stands for it, by keyword
    address: Address,
    deployment: Deployment,
    migrations: Sequence[Migration],
    proofs: Sequence[MigrationProof],
    *,
    locks: LockSettings,
    say: Say,
    approved: bool = False,
    lock_pid: int | None = None,
    before: Fingerprint | None = None,
    reason: str = "the deployment did not come to its end",
) -> RolledBack:
    """Undo what a deployment committed, if that loses nothing, and close it in the journal. The caller holds the lock.

    With `approved` a person has accepted every risk; it is said and not refused. `before` is the catalog at the start,
    to name the objects by which it differs in the end; `reason` is why, for the record. A server that is away is waited
    for, half a minute long.

    Raises:
        PersonNeeded: something would be lost or is not proven; `at_risk` says what, the message what is still applied.
        Displaced: another runner took over; it will see to it.
        Unreachable: the server did not come back; `recover` does the rest when it has.
    """
    known = {p.migration: p for p in proofs}
    rng = random.Random()  # noqa: S311 - jitter is no secret
    patient = replace(locks, poll_seconds=max(locks.poll_seconds, locks.roll_back_seconds))
    run = Run(address, deployment, known, patient, lock_pid, lambda: None, NO_WATCH, say, (), rng)
    ladder = _Ladder(run, {m.id: m for m in migrations}, before, approved, reason)
    deadline = time.monotonic() + _RECONNECT_SECONDS
    while True:
        try:
            return _climb(ladder)
        except (SessionLost, Unreachable, psycopg.OperationalError) as error:
            if not _is_lost(error):
                raise
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"the server was lost while deployment {deployment.id} was rolled back, and did not come back",
                    hint="Start it, then run `recover`: it goes on where this stopped.",
                ) from None
        say("the server is not there; trying again")
        time.sleep(_PAUSE_SECONDS)


def _is_lost(error: Exception) -> bool:
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return state is None or state.startswith(("08", "57P"))


def _climb(ladder: _Ladder) -> RolledBack:
    """Take the rungs in order, each from what ledger and journal say now."""
    run = ladder.run
    with session(run.address, "roll-back", statement_timeout_ms=run.settings.statement_timeout_ms) as connection:
        journal.end_backend(connection, run.deployment)
        journal.roll_back(connection, run.deployment)
        cleaned = debris.clean(connection, run, ladder.migrations)
        _require_licences(connection, ladder, cleaned.at_risk)
        try:
            for migration_id in _committed(connection, run.deployment):
                _revert(ladder, migration_id)
        except PersonNeeded as error:
            raise _stopped(connection, ladder, error) from None
        except MigrationFailed as error:  # a lock was not to be had, or a deadlock: all else is PersonNeeded by now
            raise _later(connection, ladder, error) from None
        return _close(connection, ladder, cleaned.indexes)


def _committed(connection: psycopg.Connection, deployment: Deployment) -> tuple[str, ...]:
    """What this deployment has in the ledger, newest first."""
    return tuple(e.id for e in reversed(ledger.entries(connection)) if e.deployment_id == deployment.id)


def _require_licences(connection: psycopg.Connection, ladder: _Ladder, risks: Sequence[str]) -> None:
    """Before anything is reverted: may all of it be?"""
    found = list(risks)
    for migration_id in _committed(connection, ladder.run.deployment):
        migration = ladder.migrations.get(migration_id)
        if migration is None:
            found.append(f"the files of {migration_id} are not there any more")
        else:
            found += at_risk.unlicensed(migration, ladder.run.proofs.get(migration_id))
    if found and not ladder.approved:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        error = PersonNeeded(f"{found[0]}{more}", at_risk=tuple(found))
        raise _stopped(connection, ladder, error)
    for risk in found:
        ladder.run.say(f"accepted: {risk}")


def _revert(ladder: _Ladder, migration_id: str) -> None:
    run = ladder.run
    migration = ladder.migrations.get(migration_id)
    if migration is None:
        raise person_needed(migration_id, (f"the files of {migration_id} are not there any more",))
    revert_in_session(run, migration, run.proofs.get(migration_id), accept_loss=ladder.approved)
    run.say(f"reverted {migration_id}")


# -- how it ends -------------------------------------------------------------------------------------------------------
def _close(connection: psycopg.Connection, ladder: _Ladder, cleaned: Sequence[str]) -> RolledBack:
    """Compare the catalog with the one before, say so, and finish the deployment."""
    deployment = ladder.run.deployment
    after = fingerprint.take(connection)
    reverted = _reverted(connection, deployment)
    rung = "reverted" if reverted else "cleaned" if cleaned else "abort"
    equal = after.digest == deployment.fingerprint_before
    done = {
        "reverted": f"reverted {', '.join(reverted)}",
        "cleaned": f"nothing had been committed; dropped {', '.join(cleaned)}, which it had left",
        "abort": "nothing had been committed",
    }[rung]
    message = f"{done}; {_comparison(ladder, after, equal=equal)}"
    _finish(connection, ladder, DeploymentStatus.ROLLED_BACK, message, after, rung)
    ladder.run.say(message)
    return RolledBack(deployment.id, rung, reverted, equal, message)


def _comparison(ladder: _Ladder, after: Fingerprint, *, equal: bool) -> str:
    if equal:
        return "the catalog is exactly as before"
    names = list(ladder.before.change_to(after).objects) if ladder.before else []
    shown = f" ({', '.join(names[:_NAMED_OBJECTS])}{', …' if len(names) > _NAMED_OBJECTS else ''})" if names else ""
    # a revert without a person's word undid exactly what its migration did
    return "the catalog is not as before" + ("" if ladder.approved else ": somebody else changed it") + shown


def _finish(
    connection: psycopg.Connection,
    ladder: _Ladder,
    status: DeploymentStatus,
    message: str,
    after: Fingerprint,
    rung: str,
    at_risk: Sequence[str] = (),
) -> None:
    """Close it and write down the rung; where the answer of an earlier call was lost, both are done already."""
    deployment = ladder.run.deployment
    now = journal.read(connection, deployment.id)
    if now is not None and (now.epoch, now.status) == (deployment.epoch, status):
        return
    by = runner_name() if ladder.approved else decisions.UNATTENDED
    with connection.transaction():
        journal.finish(connection, deployment, status, message, after.digest)
        decisions.record(
            connection, "rung", rung, reason=ladder.reason, by=by, deployment=deployment.id, at_risk=at_risk
        )


def _reverted(connection: psycopg.Connection, deployment: Deployment) -> tuple[str, ...]:
    """In the order in which they went, by the journal: calls before this one count too."""
    steps = journal.steps(connection, deployment.id)
    whole = (s for s in steps if s.direction == "revert" and s.statement is None and s.status == "done")
    return tuple(s.migration for s in whole)


def _state(connection: psycopg.Connection, deployment: Deployment) -> str:
    """What the target is like now, for a person who has to decide."""
    kept = ", ".join(reversed(_committed(connection, deployment))) or "nothing"
    reverted = ", ".join(_reverted(connection, deployment)) or "nothing"
    return f"of this deployment {kept} is still applied, {reverted} is reverted"


def _stopped(connection: psycopg.Connection, ladder: _Ladder, error: PersonNeeded) -> PersonNeeded:
    """Close the deployment as one that needs a person; the next one may build on what is applied."""
    deployment = ladder.run.deployment
    message = f"{error.message}; {_state(connection, deployment)}"
    after = fingerprint.take(connection)
    _finish(connection, ladder, DeploymentStatus.PERSON_NEEDED, message, after, "left to a person", error.at_risk)
    hint = error.hint or "Keep it and mend it with a new migration, or `revert` and accept the loss."
    return PersonNeeded(message, hint=hint, at_risk=error.at_risk)


def _later(connection: psycopg.Connection, ladder: _Ladder, error: MigrationFailed) -> PersonNeeded:
    """Nothing would be lost, but the locks were not to be had: the deployment stays open, and `recover` tries again."""
    message = f"rolling back waits for locks: {error.message}; {_state(connection, ladder.run.deployment)}"
    return PersonNeeded(message, hint="Nobody has to decide: run `recover` when the others have finished.")
