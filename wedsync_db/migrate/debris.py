"""What a non-transactional migration leaves when it stops half way, by the journal: taken away where nothing is lost.

An index holds nothing of its own and goes. VACUUM, REINDEX and their like leave nothing but REINDEX's own remains. What
any other statement did is committed, and only a person can say how to undo it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg

from wedsync_db.migrate import detach, journal, ledger, reconcile
from wedsync_db.migrate.explain import place
from wedsync_db.migrate.reconcile import Tries
from wedsync_db.migrate.run import Run, require_ours, reset
from wedsync_db.model import Migration, Script, Statement, Step
from wedsync_db.postgres.parse import tree
from wedsync_db.postgres.queries import query

_MAY_COMMIT = frozenset({"CallStmt", "DoStmt"})  # and then fail
_OF_THE_SESSION = "VariableSetStmt"
_LEAVES_NOTHING = frozenset({"VacuumStmt", "ClusterStmt", _OF_THE_SESSION, "CheckPointStmt"})


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Indexes that were dropped, and what is left for a person."""

    indexes: tuple[str, ...] = ()
    at_risk: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Left:
    """A statement of a half-done file, and how far the journal says that it came."""

    script: Script
    statement: Statement
    status: str
    tries: Tries


def clean(connection: psycopg.Connection, run: Run, migrations: Mapping[str, Migration]) -> Cleaned:
    """Take away what this deployment's half-done files left, last statement first. Doing it twice changes nothing.

    Raises:
        Displaced: another runner took over, or our lock on the target is gone.
        psycopg.Error: an index could not be dropped.
    """
    half = _half_done(connection, run)
    if not half:
        return Cleaned()
    indexes: list[str] = []
    risks: list[str] = []
    for step in half:
        left = _left(connection, step, migrations.get(step.migration))
        if left is None:
            risks.append(
                f"{step.migration}: statement {(step.statement or 0) + 1} ran, and its file is not there any more"
            )
            continue
        require_ours(connection, run)
        journal.hold(connection, run.deployment)
        _set_as_then(connection, left)
        indexes += _drop_ours(connection, left)
        risks += _kept(connection, left)
        reset(connection, run.address)
    return Cleaned(tuple(indexes), tuple(risks))


def needs_person(statement: Statement, status: str) -> bool:
    """Whether a statement with that status in the journal may have left what only a person can take back. Pure.

    Of a DROP INDEX or DETACH PARTITION that is under way nobody knows before the catalog is asked: it counts.
    """
    if statement.kind in _LEAVES_NOTHING or statement.kind == "ReindexStmt":
        return False
    if statement.kind == "IndexStmt":
        return status != "failed" and not _named(statement)
    return status != "failed" or statement.concurrent or statement.kind in _MAY_COMMIT


def _half_done(connection: psycopg.Connection, run: Run) -> list[Step]:
    """The steps of files that are neither applied nor reverted, newest first."""
    steps = journal.steps(connection, run.deployment.id)
    whole = {entry.id for entry in ledger.entries(connection)}
    whole |= {s.migration for s in steps if s.direction == "revert" and s.statement is None and s.status == "done"}
    return [
        s for s in reversed(steps) if s.direction == "deploy" and s.statement is not None and s.migration not in whole
    ]


def _left(connection: psycopg.Connection, step: Step, migration: Migration | None) -> _Left | None:
    """The statement of a step, if the file on disk still has the one that ran."""
    statements = migration.deploy.statements if migration else ()
    if migration is None or step.statement is None or step.statement >= len(statements):
        return None
    statement = statements[step.statement]
    if hashlib.sha256(statement.sql.encode()).hexdigest() != step.sql_sha256:
        return None
    tries = journal.tries(connection, step.migration, "deploy", step.sql_sha256, deployment=step.deployment_id)
    return _Left(migration.deploy, statement, step.status, Tries(tries))


def _set_as_then(connection: psycopg.Connection, left: _Left) -> None:
    """The settings the file had made by then, as names are found by search_path; and no lock_timeout for DROP INDEX."""
    for statement in left.script.statements:
        if statement.offset < left.statement.offset and statement.kind == _OF_THE_SESSION:
            connection.execute(statement.sql, prepare=False)
    connection.execute(query("apply", "set_lock_timeout"), ["0"])  # it waits in nobody's way


def _drop_ours(connection: psycopg.Connection, left: _Left) -> Iterator[str]:
    """Drop the indexes that appeared after this deployment's statement had begun, and tell their names."""
    if left.statement.kind == "ReindexStmt" and left.status != "done":
        reconcile.clear(connection, left.script, left.statement, left.tries)
    if left.statement.kind != "IndexStmt":
        return
    index = reconcile.index_of(connection, left.statement)
    if index is not None and index.of_table and left.tries.left(index.oid):
        reconcile.drop(connection, index.name)
        yield index.name


def _kept(connection: psycopg.Connection, left: _Left) -> Iterator[str]:
    """What stays of a statement, after the indexes are gone."""
    where = f"{place(left.script, left.statement)}: {left.statement.kind}"
    if left.statement.kind in _LEAVES_NOTHING or left.statement.kind == "ReindexStmt":
        return
    if left.statement.kind == "IndexStmt":
        if left.status != "failed" and (not left.tries.there_before or not _named(left.statement)):
            yield f"{where} made an index, unless it was there before"
        return
    if left.status != "done" and reconcile.waits_aside(left.statement):
        yield from _half_done_concurrently(connection, left)
        return
    if left.status == "failed" and left.statement.kind not in _MAY_COMMIT:
        return
    yield f"{where} {'is' if left.status == 'done' else 'may be'} committed"


def _half_done_concurrently(connection: psycopg.Connection, left: _Left) -> Iterator[str]:
    """What the catalog shows of a DROP INDEX or DETACH PARTITION that did not come to its end."""
    where = place(left.script, left.statement)
    partition = detach.partition_of(connection, left.statement)
    if partition is not None and partition.pending:
        if left.tries.left(partition.oid):
            yield f"{where}: {partition.name} is half detached; {partition.finalize}, then attach it again or go on"
    elif reconcile.settled(connection, left.statement, left.tries):
        yield f"{where}: {left.statement.kind} is committed"
    else:
        yield from (
            f"{where}: {name} is half dropped and invalid"
            for name in reconcile.half_dropped(connection, left.statement)
        )


def _named(statement: Statement) -> bool:
    return bool(tree(statement).fields.get("idxname"))
