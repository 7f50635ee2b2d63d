"""The ledger: which migrations are applied, kept in the target and written in each migration's own transaction.

Also the one place that creates and upgrades schema `wedsync_db`, from the numbered files in sql/internal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from psycopg.rows import class_row

from wedsync_db.errors import Refused
from wedsync_db.guard.promotion import Trial
from wedsync_db.model import DeploymentStatus, LedgerEntry, Migration
from wedsync_db.postgres.queries import numbered_scripts, query


def installed_version(connection: psycopg.Connection) -> int:
    """The number of the newest internal script that ran in this database; 0 where the schema is absent.

    Raises:
        Refused: the schema is there, but this role may not read it.
    """
    with _may_read():
        present = connection.execute(query("ledger", "has_version")).fetchone()
        if not present or not present[0]:
            return 0
        row = connection.execute(query("ledger", "version")).fetchone()
    return int(row[0]) if row else 0


def known_version() -> int:
    """The number of the newest internal script this program brings."""
    return max(number for number, _ in numbered_scripts("internal"))


def require_known(connection: psycopg.Connection) -> int:
    """The installed version, which this program understands.

    Raises:
        Refused: a newer program has been here; or the schema may not be read.
    """
    version = installed_version(connection)
    if version > known_version():
        raise Refused(
            f"schema wedsync_db is of version {version}, newer than this program knows ({known_version()})",
            hint="Deploy with the newer version of wedsync-db that was used here before.",
        )
    return version


def install(connection: psycopg.Connection) -> None:
    """Create schema `wedsync_db` or bring it up to date, in one transaction. Call it under the target lock.

    Raises:
        Refused: a newer program has been here, or this role may not create the schema.
    """
    with _may_create(), connection.transaction():
        version = require_known(connection)
        for number, text in numbered_scripts("internal"):
            if number > version:
                connection.execute(text, prepare=False)
                connection.execute(query("ledger", "record_version"), [number])


def entries(connection: psycopg.Connection) -> tuple[LedgerEntry, ...]:
    """What is applied, in order of application; empty where the schema is absent.

    Raises:
        Refused: the schema is newer than this program, or this role may not read it.
    """
    if require_known(connection) == 0:
        return ()
    with _may_read(), connection.cursor(row_factory=class_row(LedgerEntry)) as cursor:
        return tuple(cursor.execute(query("ledger", "entries")))


def trials(connection: psycopg.Connection) -> Mapping[str, Trial]:
    """What was deployed to this very database, by id, and how that ended; empty where the schema is absent.

    Raises:
        Refused: the schema is newer than this program, or this role may not read it.
    """
    if require_known(connection) == 0:
        return {}
    with _may_read():
        rows = connection.execute(query("ledger", "trials")).fetchall()
    return {name: Trial(sha256, DeploymentStatus(status) if status else None) for name, sha256, status in rows}


def record(connection: psycopg.Connection, migrations: Sequence[Migration], deployment_id: str) -> None:
    """Write these migrations, in this order, as applied. Belongs into the transaction that applied them."""
    connection.execute(
        query("ledger", "record"),
        [
            deployment_id,
            [m.id for m in migrations],
            [m.deploy.sha256 for m in migrations],
            [m.deploy.tree_hash for m in migrations],
        ],
    )


def forget(connection: psycopg.Connection, migration_id: str) -> bool:
    """Take a migration out of the ledger, in the revert's transaction; False where it was not in it."""
    return connection.execute(query("ledger", "forget"), [migration_id]).rowcount == 1


@contextmanager
def _may_read() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            "schema wedsync_db is there, but this role may not read it",
            hint="Deploy as the role that deployed here before, or set `role` in environments.toml to it.",
            sqlstate=error.sqlstate,
        ) from None


@contextmanager
def _may_create() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            f"schema wedsync_db cannot be created: {error.diag.message_primary}",
            hint="The deploying role needs CREATE on the database.",
            sqlstate=error.sqlstate,
        ) from None
