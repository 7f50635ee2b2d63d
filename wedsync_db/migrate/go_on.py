"""Going on with a deployment that was interrupted in a non-transactional file, where only a person could go back.

Its statements stay when their runner dies, and half of a file is what nobody has rehearsed. So a deployment that is
asked for again, with the same files, goes on where it stopped, as far as journal and catalog can tell where that is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg

from wedsync_db.errors import MigrationFailed, PersonNeeded
from wedsync_db.migrate import apply, journal, ledger
from wedsync_db.migrate.acquire import Say
from wedsync_db.migrate.foretell import half_done
from wedsync_db.model import Deployment, Migration, MigrationProof, Plan
from wedsync_db.postgres.session import Address
from wedsync_db.settings import LockSettings


def what_is_left(
    connection: psycopg.Connection, deployment: Deployment, migrations: Sequence[Migration]
) -> Plan | None:
    """What of an interrupted deployment has still to be applied; None where it is rather to be undone.

    That is where it can be undone without a person, where its roll back has begun, and where a file is not what it was.
    """
    if journal.is_rolling_back(connection, deployment):
        return None
    known = {m.id: m for m in migrations}
    planned = [known.get(name) for name in journal.migrations(connection, deployment.id)]
    same = tuple(m for m in planned if m is not None)
    if len(same) < len(planned) or Plan(same, ()).hash != deployment.plan_hash:
        return None
    if not any(file.for_a_person for file in half_done(connection, deployment, migrations)):
        return None
    there = {entry.id for entry in ledger.entries(connection)}
    return Plan(tuple(m for m in same if m.id not in there), ())


def go_on(
    address: Address,
    deployment: Deployment,
    left: Plan,
    proofs: Sequence[MigrationProof],
    *,
    locks: LockSettings,
    lock_pid: int,
    between: Callable[[], None],
    say: Say,
) -> bool:
    """Apply what is left; whether that came to its end. The caller verifies it, or undoes what is there.

    Raises:
        Displaced: another runner took over.
        WedsyncError: what `between` raises to stop before a transaction; the deployment stays as it is.
    """
    say(f"going on with {left.pending[0].id} where it stopped: only a person could take back what it has done")
    try:
        apply.apply(
            address, left, deployment, proofs=proofs, atomic=deployment.atomic, locks=locks, lock_pid=lock_pid,
            between=between, say=say,
        )  # fmt: skip
    except (MigrationFailed, PersonNeeded) as error:
        say(f"failed: {error.message}")
        return False
    return True
