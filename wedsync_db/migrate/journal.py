"""The journal: what a deployment is doing, kept in the target, so that anybody can finish or undo it.

Every write is fenced by the deployment's epoch. A runner that was displaced (`raise_epoch`) finds its epoch outdated in
`hold`, which each of its transactions calls first, and can commit nothing more. Rows that came here with a restored or
copied database carry another identity and are inert.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from wedsync_db.errors import Displaced, Refused, TargetHeld
from wedsync_db.migrate import ledger
from wedsync_db.model import (
    Approval,
    Change,
    Deployment,
    DeploymentStatus,
    HeldLock,
    Licence,
    Migration,
    MigrationProof,
    Plan,
    Rehearsal,
    Step,
)
from wedsync_db.postgres.queries import query

Direction = Literal["deploy", "revert"]
Ended = Literal["done", "failed"]
_END_BACKEND_SECONDS = 10.0


def begin(
    connection: psycopg.Connection,
    *,
    plan: Plan,
    atomic: str,
    fingerprint_before: str,
    backup_id: str | None,
    runner: str,
    rehearsal: Rehearsal | None,
    approval: Approval | None = None,
) -> Deployment:
    """Open a deployment in the journal; the server makes its id. Call it under the target lock.

    Raises:
        Refused: an earlier deployment of this database is unfinished.
    """
    values = {
        "plan_hash": plan.hash,
        "migrations": [m.id for m in plan.pending],
        "atomic": atomic,
        "fingerprint_before": fingerprint_before,
        "backup_id": backup_id,
        "runner": runner,
        "proofs": Jsonb([asdict(p) for p in rehearsal.proofs] if rehearsal else []),
        "approval": Jsonb(asdict(approval)) if approval else None,
    }
    try:
        return _one(connection, "begin", values)
    except psycopg.errors.UniqueViolation:
        raise Refused("an earlier deployment of this database is unfinished", hint="Run `recover` first.") from None


def attach(connection: psycopg.Connection, deployment: Deployment) -> None:
    """Note this session's backend as the one that migrates, so that `end_backend` can find it.

    Raises:
        Displaced: another runner took over.
    """
    with _as_login(connection):
        pid, start = connection.execute(query("journal", "own_backend")).fetchall()[0]
    done = connection.execute(query("journal", "attach"), {**_key(deployment), "pid": pid, "start": start})
    if done.rowcount != 1:
        raise _displaced(deployment)


def hold(connection: psycopg.Connection, deployment: Deployment) -> None:
    """Lock the deployment's row until the end of this transaction, if it is still ours. The fence of every commit.

    Raises:
        Displaced: another runner raised the epoch, or the deployment is finished.
    """
    row = connection.execute(query("journal", "hold"), [deployment.id]).fetchone()
    if row is None or row != (deployment.epoch, DeploymentStatus.RUNNING.value):
        raise _displaced(deployment)


def unfinished(connection: psycopg.Connection) -> tuple[Deployment, ...]:
    """The running deployments of this very database (at most one); none where the schema is absent."""
    if ledger.require_known(connection) == 0:
        return ()
    with connection.cursor(row_factory=dict_row) as cursor:
        return tuple(_deployment(row) for row in cursor.execute(query("journal", "unfinished")))


def read(connection: psycopg.Connection, deployment_id: str) -> Deployment | None:
    """One deployment as its row is now."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query("journal", "deployment"), [deployment_id]).fetchone()
    return _deployment(row) if row else None


def raise_epoch(connection: psycopg.Connection, deployment: Deployment, *, runner: str | None = None) -> Deployment:
    """Take a deployment over: from now on only the returned epoch may commit. End its backend first.

    Raises:
        Displaced: somebody else was quicker, or it is finished.
        TargetHeld: the old backend is still in a transaction.
    """
    try:
        return _one(connection, "raise_epoch", {**_key(deployment), "runner": runner})
    except psycopg.errors.LockNotAvailable:
        raise TargetHeld(
            f"the backend of deployment {deployment.id} is still in a transaction", hint="Wait for it, or end it."
        ) from None
    except LookupError:
        raise _displaced(deployment) from None


def finish(
    connection: psycopg.Connection,
    deployment: Deployment,
    status: DeploymentStatus,
    message: str,
    fingerprint_after: str | None,
) -> None:
    """Close the deployment. The message is one line without row values.

    Raises:
        Displaced: another runner took over, or it is finished already.
    """
    values = {**_key(deployment), "status": status.value, "message": message, "fingerprint_after": fingerprint_after}
    if connection.execute(query("journal", "finish"), values).rowcount != 1:
        raise _displaced(deployment)


def start_step(
    connection: psycopg.Connection,
    deployment: Deployment,
    migration: str,
    *,
    direction: Direction,
    statement: int | None,
    sql_sha256: str,
    there_before: Sequence[int] = (),
) -> None:
    """Note that a statement (by index from 0) or a whole migration (None) is about to run.

    `there_before`: the oids of what stands there already and could be taken for what the statement leaves half done.

    Raises:
        Displaced: another runner took over.
    """
    values = {**_key(deployment), "migration": migration, "direction": direction, "statement": statement}
    values |= {"sql_sha256": sql_sha256, "there_before": list(there_before)}
    done = connection.execute(query("journal", "start_step"), values)
    if done.rowcount != 1:
        raise _displaced(deployment)


def finish_step(
    connection: psycopg.Connection,
    deployment: Deployment,
    migration: str,
    *,
    direction: Direction,
    statement: int | None,
    status: Ended = "done",
) -> None:
    """Note how a started step ended."""
    values = {"id": deployment.id, "migration": migration, "direction": direction, "statement": statement}
    connection.execute(query("journal", "finish_step"), {**values, "status": status})


def tries(
    connection: psycopg.Connection,
    migration: str,
    direction: Direction,
    sql_sha256: str,
    *,
    deployment: str | None = None,
) -> tuple[frozenset[int], ...]:
    """For each try of this statement in this database, in that deployment or any: the oids that stood there before."""
    values = {"migration": migration, "direction": direction, "sql_sha256": sql_sha256, "deployment": deployment}
    return tuple(frozenset(row[0]) for row in connection.execute(query("journal", "tries"), values))


def roll_back(connection: psycopg.Connection, deployment: Deployment) -> None:
    """Note that this deployment is being rolled back from now on."""
    connection.execute(query("journal", "roll_back"), _key(deployment))


def is_rolling_back(connection: psycopg.Connection, deployment: Deployment) -> bool:
    """Whether its roll back has begun."""
    return bool(connection.execute(query("journal", "rolling_back"), [deployment.id]).fetchall()[0][0])


def done_steps(
    connection: psycopg.Connection, deployment: Deployment, migrations: Iterable[Migration], direction: Direction
) -> None:
    """Note whole migrations as done at once, in the transaction that commits them, after `hold`."""
    rows = [(m.id, m.deploy.sha256) for m in migrations]
    values = {"migrations": [i for i, _ in rows], "sha256": [s for _, s in rows], "direction": direction}
    connection.execute(query("journal", "done_steps"), {**_key(deployment), **values})


def steps(connection: psycopg.Connection, deployment_id: str) -> tuple[Step, ...]:
    """What a deployment did, in order."""
    return tuple(Step(*row) for row in connection.execute(query("journal", "steps"), [deployment_id]))


def proofs(connection: psycopg.Connection, deployment_id: str) -> tuple[MigrationProof, ...]:
    """What the rehearsal of a deployment proved; empty where it had none."""
    row = connection.execute(query("journal", "proofs"), [deployment_id]).fetchone()
    return tuple(_proof(value) for value in row[0]) if row else ()


def migrations(connection: psycopg.Connection, deployment_id: str) -> tuple[str, ...]:
    """The ids a deployment was to apply, in order."""
    row = connection.execute(query("journal", "migrations"), [deployment_id]).fetchone()
    return tuple(row[0]) if row else ()


def end_backend(connection: psycopg.Connection, deployment: Deployment) -> bool:
    """End the backend that migrates for this deployment, if it still lives, and wait until it is gone.

    Its open transaction is rolled back. True if there was one to end.

    Raises:
        TargetHeld: it may not be ended by us, or does not go.
    """
    pid = _backend(connection, deployment)
    if pid is None:
        return False
    deadline = time.monotonic() + _END_BACKEND_SECONDS
    _terminate(connection, deployment, pid)
    while _backend(connection, deployment) is not None:
        if time.monotonic() > deadline:
            raise TargetHeld(f"backend {pid} of deployment {deployment.id} does not end", hint="Try again later.")
        time.sleep(0.02)
    return True


def _backend(connection: psycopg.Connection, deployment: Deployment) -> int | None:
    attached = connection.execute(query("journal", "attached"), _key(deployment)).fetchone()
    if attached is None:
        return None
    with _as_login(connection):
        lives = connection.execute(query("journal", "lives"), attached).fetchall()[0][0]
    return int(attached[0]) if lives else None


@contextmanager
def _as_login(connection: psycopg.Connection) -> Iterator[None]:
    """Ask about backends as the login: under SET ROLE a session may not even see when it began.

    For nothing else: a login that does not inherit its role's rights may not look into schema `wedsync_db`.
    """
    with connection.transaction():
        connection.execute("set local role none")
        yield


def _terminate(connection: psycopg.Connection, deployment: Deployment, pid: int) -> None:
    try:
        with _as_login(connection):
            connection.execute(query("journal", "terminate"), [pid])
    except psycopg.errors.InsufficientPrivilege as error:
        raise TargetHeld(
            f"backend {pid} still works for deployment {deployment.id}, and this role may not end it",
            hint="Recover as the role that deployed, or grant pg_signal_backend.",
            sqlstate=error.sqlstate,
        ) from None


def _one(connection: psycopg.Connection, name: str, values: dict[str, Any]) -> Deployment:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query("journal", name), values).fetchone()
    if row is None:
        raise LookupError(name)
    return _deployment(row)


def _deployment(row: dict[str, Any]) -> Deployment:
    return Deployment(**{**row, "status": DeploymentStatus(row["status"])})


def _proof(value: dict[str, Any]) -> MigrationProof:
    return MigrationProof(
        **{
            **value,
            "licence": Licence(value["licence"]),
            "reasons": tuple(value["reasons"]),
            "locks": tuple(HeldLock(**lock) for lock in value["locks"]),
            "created_content": {name: (rows, digest) for name, (rows, digest) in value["created_content"].items()},
            "change": _change(value.get("change")),
        }
    )


def _change(value: dict[str, Any] | None) -> Change | None:
    return Change({name: (before, after) for name, (before, after) in value["objects"].items()}) if value else None


def _key(deployment: Deployment) -> dict[str, Any]:
    return {"id": deployment.id, "epoch": deployment.epoch}


def _displaced(deployment: Deployment) -> Displaced:
    return Displaced(
        f"another runner took over deployment {deployment.id} (we are of epoch {deployment.epoch})",
        hint="Nothing more was committed. Look at `status`.",
    )
