"""Running the statements of a script, one at a time, and saying exactly what failed where.

A statement travels alone in the simple protocol: nothing is prepared, and several in one message would make a
transaction of their own around a statement that may not run in one.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Protocol

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from wedsync_db.errors import MigrationFailed, VerifyFailed
from wedsync_db.migrate.explain import explain, place
from wedsync_db.model import Migration, Script, Statement

_BOOL = 16  # its oid in pg_type


class Watch(Protocol):
    """Is told of every statement of a deploy or revert script; a rehearsal measures with it."""

    def before(self, migration_id: str, index: int, statement: Statement) -> None:
        """The statement, by index in its script from 0, is about to run."""

    def after(self, migration_id: str, index: int, statement: Statement, rows: int) -> None:
        """It ran; `rows` as PostgreSQL counted them, 0 where it does not count."""


class _NoWatch:
    def before(self, migration_id: str, index: int, statement: Statement) -> None:
        """Nobody watches."""

    def after(self, migration_id: str, index: int, statement: Statement, rows: int) -> None:
        """Nobody watches."""


NO_WATCH: Watch = _NoWatch()


def run_script(connection: psycopg.Connection, migration_id: str, script: Script, watch: Watch = NO_WATCH) -> None:
    """Run all statements of a script in the transaction that is open, or each by itself under autocommit.

    Raises:
        MigrationFailed: a statement failed; the message has its place, SQLSTATE and constraint, the excerpt a caret.
        LockTimeout: a statement did not get its lock within lock_timeout.
    """
    for index in range(len(script.statements)):
        run_statement(connection, migration_id, script, index, watch)


def run_scripts(connection: psycopg.Connection, migrations: Iterable[Migration]) -> None:
    """Deploy migrations on a database that nobody else uses: nothing of it is journalled, and no lock is contended.

    Raises:
        MigrationFailed: a statement failed.
    """
    for migration in migrations:
        with connection.transaction() if migration.transactional else nullcontext():
            run_script(connection, migration.id, migration.deploy)


def run_statement(
    connection: psycopg.Connection, migration_id: str, script: Script, index: int, watch: Watch = NO_WATCH
) -> None:
    """Run one statement of a script, by index from 0. Raises as `run_script` does."""
    statement = script.statements[index]
    watch.before(migration_id, index, statement)
    try:
        cursor = connection.execute(statement.sql, prepare=False)
    except psycopg.Error as error:
        raise explain(error, script, statement, MigrationFailed) from None
    watch.after(migration_id, index, statement, max(cursor.rowcount, 0))


def run_verify(connection: psycopg.Connection, script: Script) -> None:
    """Run a verify script. A statement that fails says no; so does a SELECT with no row or a first false or NULL.

    Raises:
        VerifyFailed: it said no, and where.
        LockTimeout: a statement did not get its lock within lock_timeout.
    """
    for statement in script.statements:
        try:
            result = connection.execute(statement.sql, prepare=False).pgresult
        except psycopg.Error as error:
            raise explain(error, script, statement, VerifyFailed) from None
        require_yes(result, script, statement)


def require_yes(result: PGresult | None, script: Script, statement: Statement) -> None:
    """Raise VerifyFailed if a row of a verify statement's result begins with false or NULL, or there is none."""
    if result is None or result.status != ExecStatus.TUPLES_OK or not result.nfields:
        return
    noes = (None, b"f") if result.ftype(0) == _BOOL else (None,)
    # no row at all answers nothing, and unknown is no yes
    if not result.ntuples or any(result.get_value(row, 0) in noes for row in range(result.ntuples)):
        raise VerifyFailed(
            f"{place(script, statement)}: the check says no (false or NULL in its first column, or no row)",
            hint="The migration did not do what its author expects; it was undone.",
        )
