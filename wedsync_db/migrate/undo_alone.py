"""Reverts that may not run in a transaction: they may make and drop indexes, which hold nothing of their own.

Each statement has a journal row before and after, so that an interrupted revert goes on where it was. The ledger
forgets the migration once the catalog shows that its change is undone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress

import psycopg

from wedsync_db.migrate import at_risk, journal, ledger, reconcile
from wedsync_db.migrate.execute import run_statement
from wedsync_db.migrate.explain import place
from wedsync_db.migrate.reconcile import Tries
from wedsync_db.migrate.revert import Revert, note
from wedsync_db.migrate.run import Run, fenced, require_ours, reset, retrying
from wedsync_db.migrate.way import require_way
from wedsync_db.model import Statement
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.queries import query

_INDEXES = frozenset({"IndexStmt", "DropStmt", "ReindexStmt"})
_OF_THE_SESSION = "VariableSetStmt"


def revert_alone(connection: psycopg.Connection, run: Run, revert: Revert) -> None:
    """Run the statements that are not done yet, then forget the migration. Raises as `undo.revert_migration` does."""
    if revert.migration.id not in {entry.id for entry in ledger.entries(connection)}:
        return
    revert.refuse(run, _more_than_indexes(revert))
    connection.execute(query("apply", "set_lock_timeout"), ["0"])  # these wait in nobody's way
    for index, statement in enumerate(revert.script.statements):
        _run(connection, run, revert, index, statement)
    reset(connection, run.address)
    with fenced(connection, run):
        change = revert.proof.change if revert.proof else None
        revert.refuse(run, at_risk.not_undone(fingerprint.take(connection), change))
        ledger.forget(connection, revert.migration.id)
        note(connection, run, revert)


def _more_than_indexes(revert: Revert) -> Iterator[str]:
    for statement in revert.script.statements:
        harmless = (statement.concurrent and statement.kind in _INDEXES) or statement.kind == _OF_THE_SESSION
        if not harmless:
            yield f"{place(revert.script, statement)}: it runs outside a transaction, where nothing can be checked"


def _run(connection: psycopg.Connection, run: Run, revert: Revert, index: int, statement: Statement) -> None:
    if statement.kind == _OF_THE_SESSION:
        run_statement(connection, revert.migration.id, revert.script, index)
        return
    status = _status(connection, run, revert, index)
    if status == "done":
        return
    tries = _tries(connection, revert, statement)
    if status == "started" and reconcile.settled(connection, statement, tries):
        _finish(connection, run, revert, index, "done")
        return
    require_way(connection, run, revert.script, statement)
    retrying(run, lambda: _outside(connection, run, revert, index))


def _outside(connection: psycopg.Connection, run: Run, revert: Revert, index: int) -> int:
    require_ours(connection, run)
    statement = revert.script.statements[index]
    journal.start_step(
        connection,
        run.deployment,
        revert.migration.id,
        direction="revert",
        statement=index,
        sql_sha256=_sha256(statement),
        there_before=reconcile.there_before(connection, statement),
    )
    tries = _tries(connection, revert, statement)
    try:
        if not reconcile.clear(connection, revert.script, statement, tries):
            run_statement(connection, revert.migration.id, revert.script, index)
        reconcile.require_done(connection, revert.script, statement, tries)
    except BaseException:
        with suppress(psycopg.Error):  # where the session is gone the statement stays in doubt, which is the truth
            _finish(connection, run, revert, index, "failed")
        raise
    _finish(connection, run, revert, index, "done")
    return 0


def _tries(connection: psycopg.Connection, revert: Revert, statement: Statement) -> Tries:
    return Tries(journal.tries(connection, revert.migration.id, "revert", _sha256(statement)))


def _sha256(statement: Statement) -> str:
    return hashlib.sha256(statement.sql.encode()).hexdigest()


def _status(connection: psycopg.Connection, run: Run, revert: Revert, index: int) -> str | None:
    steps = journal.steps(connection, run.deployment.id)
    ours = (s for s in steps if (s.migration, s.direction, s.statement) == (revert.migration.id, "revert", index))
    return next((s.status for s in ours), None)


def _finish(connection: psycopg.Connection, run: Run, revert: Revert, index: int, status: journal.Ended) -> None:
    name = revert.migration.id
    journal.finish_step(connection, run.deployment, name, direction="revert", statement=index, status=status)
