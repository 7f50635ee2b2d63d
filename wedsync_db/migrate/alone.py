"""Non-transactional files: one statement at a time, each known to the journal, and none done twice after a kill.

What may run in a transaction does, together with its journal row, and is never in doubt. The rest (CREATE INDEX
CONCURRENTLY and its like, CALL and DO that may commit) has a row before and after; if only the first is there, the
catalog says what happened, or a person has to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg

from wedsync_db.errors import MigrationFailed, PersonNeeded
from wedsync_db.migrate import journal, reconcile
from wedsync_db.migrate.closing import record, verify
from wedsync_db.migrate.execute import run_statement
from wedsync_db.migrate.explain import describe, place
from wedsync_db.migrate.reconcile import Tries
from wedsync_db.migrate.run import Run, fenced, require_ours, reset, retrying
from wedsync_db.migrate.way import require_way
from wedsync_db.model import Migration, Statement
from wedsync_db.postgres.queries import query

_OF_THE_SESSION = "VariableSetStmt"  # gone with the session that ran it: set again on every resume
_MAY_COMMIT = frozenset({"CallStmt", "DoStmt"})


def run_alone(connection: psycopg.Connection, run: Run, migration: Migration) -> int:
    """Run the statements of a non-transactional migration that are not done yet, then verify and record it.

    Returns how many tries failed for want of a lock.

    Raises:
        MigrationFailed: a statement failed; those before it stay.
        PersonNeeded: it cannot be known whether a statement that was started before an interruption ran.
        Displaced: another runner took over.
    """
    statuses = _statuses(connection, run, migration)
    failures = 0
    for index, statement in enumerate(migration.deploy.statements):
        if statement.kind == _OF_THE_SESSION:
            run_statement(connection, migration.id, migration.deploy, index, run.watch)
        elif statuses.get(index) != "done":
            failures += _run(connection, run, migration, index, in_doubt=statuses.get(index) == "started")
    reset(connection, run.address)
    with fenced(connection, run):
        verify(connection, migration)
        record(connection, run, (migration,))
    return failures


def _statuses(connection: psycopg.Connection, run: Run, migration: Migration) -> dict[int, str]:
    steps = journal.steps(connection, run.deployment.id)
    ours = (s for s in steps if s.migration == migration.id and s.direction == "deploy")
    return {s.statement: s.status for s in ours if s.statement is not None}


def _run(connection: psycopg.Connection, run: Run, migration: Migration, index: int, *, in_doubt: bool) -> int:
    statement = migration.deploy.statements[index]
    if not statement.concurrent and statement.kind not in _MAY_COMMIT:
        return retrying(run, lambda: _in_transaction(connection, run, migration, index))
    if in_doubt and _happened(connection, migration, statement):
        _finish(connection, run, migration, index, "done")
        return 0
    require_way(connection, run, migration.deploy, statement)
    return retrying(run, lambda: _outside(connection, run, migration, index))


def _in_transaction(connection: psycopg.Connection, run: Run, migration: Migration, index: int) -> int:
    with fenced(connection, run):
        _start(connection, run, migration, index)
        run_statement(connection, migration.id, migration.deploy, index, run.watch)
        _finish(connection, run, migration, index, "done")
    return 0


def _happened(connection: psycopg.Connection, migration: Migration, statement: Statement) -> bool:
    happened = reconcile.settled(connection, statement, _tries(connection, migration, statement))
    if happened is None:
        raise PersonNeeded(
            f"{place(migration.deploy, statement)}: it is not known whether this statement ran before the interruption",
            hint="Look at what it did, then decide whether to go on or to undo it.",
            at_risk=(f"{migration.id}: {statement.kind} at line {statement.line}",),
        )
    return happened


def _outside(connection: psycopg.Connection, run: Run, migration: Migration, index: int) -> int:
    script, statement = migration.deploy, migration.deploy.statements[index]
    require_ours(connection, run)
    _start(connection, run, migration, index, reconcile.there_before(connection, statement))
    tries = _tries(connection, migration, statement)
    for line in reconcile.strangers(connection, statement, tries):
        run.say(line)
    try:
        with _patience(connection, reconcile.waits_aside(statement)):
            if not reconcile.clear(connection, script, statement, tries):
                run_statement(connection, migration.id, script, index, run.watch)
        reconcile.require_done(connection, script, statement, tries)
    except psycopg.Error as error:
        _failed(connection, run, migration, index)
        raise MigrationFailed(f"{place(script, statement)}: {describe(error)}", sqlstate=error.sqlstate) from None
    except MigrationFailed:
        _failed(connection, run, migration, index)
        raise
    _finish(connection, run, migration, index, "done")
    return 0


@contextmanager
def _patience(connection: psycopg.Connection, wanted: bool) -> Iterator[None]:
    """No lock_timeout for what waits in nobody's way: only statement_timeout bounds it."""
    if not wanted:
        yield
        return
    before = connection.execute(query("apply", "lock_timeout")).fetchone()
    connection.execute(query("apply", "set_lock_timeout"), ["0"])
    try:
        yield
    finally:
        with suppress(psycopg.OperationalError):  # the session may be gone, and its settings with it
            connection.execute(query("apply", "set_lock_timeout"), before)


def _tries(connection: psycopg.Connection, migration: Migration, statement: Statement) -> Tries:
    return Tries(journal.tries(connection, migration.id, "deploy", _sha256(statement)))


def _start(
    connection: psycopg.Connection, run: Run, migration: Migration, index: int, there_before: Sequence[int] = ()
) -> None:
    journal.start_step(
        connection,
        run.deployment,
        migration.id,
        direction="deploy",
        statement=index,
        sql_sha256=_sha256(migration.deploy.statements[index]),
        there_before=there_before,
    )


def _finish(connection: psycopg.Connection, run: Run, migration: Migration, index: int, status: journal.Ended) -> None:
    journal.finish_step(connection, run.deployment, migration.id, direction="deploy", statement=index, status=status)


def _failed(connection: psycopg.Connection, run: Run, migration: Migration, index: int) -> None:
    """Note the failure; where the session is gone the statement stays in doubt, which is the truth."""
    with suppress(psycopg.Error):
        _finish(connection, run, migration, index, "failed")


def _sha256(statement: Statement) -> str:
    return hashlib.sha256(statement.sql.encode()).hexdigest()
