"""The rehearsal: every pending migration up, down and up again on a copy, then all of them as production will run them.

The first copy tells what each migration costs and whether its revert brings everything back; the second goes through
the deployment's own executor, grouping and lock taking, and tells how the target's catalog has to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import psycopg

from wedsync_db.errors import Inconclusive, MigrationFailed, RehearsalFailed, WedsyncError
from wedsync_db.migrate import apply, journal, ledger
from wedsync_db.migrate.copies import Copy, copies
from wedsync_db.migrate.explain import describe
from wedsync_db.migrate.groups import as_held
from wedsync_db.migrate.licence import require_licences
from wedsync_db.migrate.updown import Proven, failed, prove_each
from wedsync_db.model import Backup, Change, Fingerprint, Licence, MigrationProof, Plan, Rehearsal
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.pg_ctl import DISK_FULL
from wedsync_db.postgres.server import server_facts
from wedsync_db.postgres.session import session
from wedsync_db.settings import LockSettings

__all__ = ["rehearse", "require_licences"]

Say = Callable[[str], None]
_RESTORED, _PROVEN, _DONE = 0.4, 0.9, 1.0  # shares of the work: restoring takes long, the second copy is quick


def rehearse(  # noqa: PLR0913 - what, on which copy, with whose rights and policies, by keyword
    plan: Plan,
    *,
    backup: Backup | None,
    server_major: int,
    deployer: str | None,
    settings: Mapping[str, str],
    scratch_parent: Path,
    atomic: str,
    locks: LockSettings,
    clock: Callable[[], datetime],
    say: Say,
    progress: Callable[[float], None],
) -> Rehearsal:
    """Run the plan on copies in a scratch server that is gone afterwards, whatever happens.

    Args:
        plan: what is pending.
        backup: restored and compared first, which proves it; None for an empty database.
        server_major: the target's.
        deployer: the role whose rights the scripts run with; None for a superuser.
        settings: those of a deployer's session on the target.
        scratch_parent: the folder for the scratch server; what killed rehearsals left there is removed.
        atomic: "deployment" or "migration", as it will be applied.
        locks: timeouts and the budget that decides which migrations commit together.
        clock: the time, for the whole duration.
        say: gets lines for people.
        progress: gets 0 to 1.

    Raises:
        RehearsalFailed: a migration fails on this data; the message has file and line.
        BackupError: the backup is damaged.
        Inconclusive: a scratch server cannot stand for the target, or was lost.
        Refused: there is no PostgreSQL of that major here.
    """
    started = clock()
    restoring = f"restoring backup {backup.id}" if backup else "an empty database"
    say(f"rehearsal on a scratch server of PostgreSQL {server_major}: {restoring}")
    with (
        _judged(),
        copies(server_major, scratch_parent, backup=backup, deployer=deployer, settings=settings, say=say) as renew,
    ):
        progress(_RESTORED)
        proven = tuple(
            prove_each(
                renew,
                plan.pending,
                known=backup.manifest.relations if backup else (),
                locks=locks,
                say=say,
                progress=lambda share: progress(_RESTORED + share * (_PROVEN - _RESTORED)),
            )
        )
        same_major = backup is None or backup.manifest.server.major == server_major
        proofs = tuple(p.proof if same_major else _without_licence(p.proof) for p in proven)
        copy = renew(last=True)
        before, after = _dress_rehearsal(copy, plan, proofs, atomic=atomic, locks=locks)
        with session(copy.superuser, "observe") as connection:
            version = server_facts(connection).version_num
    progress(_DONE)
    return Rehearsal(
        plan_hash=plan.hash,
        backup_id=backup.id if backup else None,
        server_version=version,
        fingerprint_before=before.digest,
        expected=before.change_to(after),
        proofs=as_held(plan, proofs, atomic, locks.hold_budget_seconds),
        statements=tuple(s for p in proven for s in p.statements),
        seconds=(clock() - started).total_seconds(),
        complete=backup is not None and same_major,
        notes=_notes(proven, backup, same_major=same_major),
    )


@contextmanager
def _judged() -> Iterator[None]:
    """What fails outside of the scripts says nothing about them."""
    try:
        yield
    except psycopg.Error as error:
        raise _unfinished(describe(error), error.sqlstate) from None
    except OSError as error:
        raise _unfinished(error.strerror or type(error).__name__, None) from None
    except WedsyncError as error:
        if error.sqlstate != DISK_FULL:
            raise
        raise _unfinished(error.message, error.sqlstate) from None


def _unfinished(why: str, sqlstate: str | None) -> Inconclusive:
    return Inconclusive(
        f"the rehearsal could not be finished: {why}",
        hint="Is there room left on the disk for the scratch server? It needs several times the database's size.",
        sqlstate=sqlstate,
    )


def _dress_rehearsal(
    copy: Copy, plan: Plan, proofs: tuple[MigrationProof, ...], *, atomic: str, locks: LockSettings
) -> tuple[Fingerprint, Fingerprint]:
    """Everything once more as on the target; the catalog before and after."""
    before = _catalog(copy)
    with session(copy.deployer, "journal") as connection:
        ledger.install(connection)
        deployment = journal.begin(
            connection,
            plan=plan,
            atomic=atomic,
            fingerprint_before=before.digest,
            backup_id=None,
            runner="rehearsal",
            rehearsal=None,
        )
    try:
        apply.apply(
            copy.deployer,
            plan,
            deployment,
            proofs=proofs,
            atomic=atomic,
            locks=locks,
            lock_pid=None,
            between=lambda: None,
            say=lambda _: None,
        )
    except MigrationFailed as error:
        raise failed(error) from None
    after = _catalog(copy)
    _require_valid_indexes(before.change_to(after))
    return before, after


def _catalog(copy: Copy) -> Fingerprint:
    with session(copy.superuser, "observe") as connection:
        return fingerprint.take(connection)


def _require_valid_indexes(change: Change) -> None:
    names = [
        n for n, (_, after) in change.objects.items() if n.startswith("index:") and '"invalid": true' in (after or "")
    ]
    if names:
        raise RehearsalFailed(
            f"afterwards these are not valid: {', '.join(sorted(names))}",
            hint="A partitioned table's index is valid once every partition's index is attached to it.",
        )


def _without_licence(proof: MigrationProof) -> MigrationProof:
    return replace(proof, licence=Licence.NONE, reasons=(*proof.reasons, "rehearsed on another major version"))


def _notes(proven: tuple[Proven, ...], backup: Backup | None, *, same_major: bool) -> tuple[str, ...]:
    notes = [f"{p.proof.migration}: {note}" for p in proven for note in p.notes]
    if backup is None:
        notes.insert(0, "from an empty database: says nothing about real data, its volume or its durations")
    if not same_major:
        notes.insert(0, "on another major version than the target's: no licences")
    return tuple(notes)
