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
from wedsync_db.migrate.revert import Revert, note
from wedsync_db.migrate.run import Run, fenced, require_ours, reset, retrying
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
    if status == "started" and reconcile.settled(connection, statement):
        _finish(connection, run, revert, index, "done")
        return
    retrying(run, lambda: _outside(connection, run, revert, index, again=status is not None))


def _outside(connection: psycopg.Connection, run: Run, revert: Revert, index: int, *, again: bool) -> int:
    require_ours(connection, run)
    statement = revert.script.statements[index]
    sha256 = hashlib.sha256(statement.sql.encode()).hexdigest()
    name = revert.migration.id
    journal.start_step(connection, run.deployment, name, direction="revert", statement=index, sql_sha256=sha256)
    try:
        reconcile.clear(connection, revert.script, statement, ours=again)
        run_statement(connection, name, revert.script, index)
        reconcile.require_usable(connection, revert.script, statement)
    except BaseException:
        with suppress(psycopg.Error):  # where the session is gone the statement stays in doubt, which is the truth
            _finish(connection, run, revert, index, "failed")
        raise
    _finish(connection, run, revert, index, "done")
    return 0


def _status(connection: psycopg.Connection, run: Run, revert: Revert, index: int) -> str | None:
    steps = journal.steps(connection, run.deployment.id)
    ours = (s for s in steps if (s.migration, s.direction, s.statement) == (revert.migration.id, "revert", index))
    return next((s.status for s in ours), None)


def _finish(connection: psycopg.Connection, run: Run, revert: Revert, index: int, status: journal.Ended) -> None:
    name = revert.migration.id
    journal.finish_step(connection, run.deployment, name, direction="revert", statement=index, status=status)
