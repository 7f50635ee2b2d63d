"""What a non-transactional migration leaves when it stops half way, by the journal: taken away where nothing is lost.

An index holds nothing of its own and goes. VACUUM, REINDEX and their like leave nothing but REINDEX's own remains. What
any other statement did is committed, and only a person can say how to undo it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg

from wedsync_db.migrate import journal, ledger, reconcile
from wedsync_db.migrate.explain import place
from wedsync_db.migrate.run import Run, require_ours, reset
from wedsync_db.model import Migration, Script, Statement, Step
from wedsync_db.postgres.parse import tree
from wedsync_db.postgres.queries import query

_LEAVES_NOTHING = frozenset({"VacuumStmt", "ClusterStmt", "VariableSetStmt", "CheckPointStmt"})


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


def clean(connection: psycopg.Connection, run: Run, migrations: Mapping[str, Migration]) -> Cleaned:
    """Take away what this deployment's half-done files left, last statement first. Doing it twice changes nothing.

    Raises:
        Displaced: another runner took over, or our lock on the target is gone.
        psycopg.Error: an index could not be dropped.
    """
    half = _half_done(connection, run)
    if not half:
        return Cleaned()
    connection.execute(query("apply", "set_lock_timeout"), ["0"])  # DROP INDEX CONCURRENTLY waits in nobody's way
    indexes: list[str] = []
    risks: list[str] = []
    for step in half:
        left = _left(step, migrations.get(step.migration))
        if left is None:
            risks.append(
                f"{step.migration}: statement {(step.statement or 0) + 1} ran, and its file is not there any more"
            )
            continue
        require_ours(connection, run)
        journal.hold(connection, run.deployment)
        indexes += _drop_index(connection, left)
        risks += _kept(left)
    reset(connection, run.address)
    return Cleaned(tuple(indexes), tuple(risks))


def _half_done(connection: psycopg.Connection, run: Run) -> list[Step]:
    """The steps of files that are neither applied nor reverted, newest first."""
    steps = journal.steps(connection, run.deployment.id)
    whole = {entry.id for entry in ledger.entries(connection)}
    whole |= {s.migration for s in steps if s.direction == "revert" and s.statement is None and s.status == "done"}
    return [
        s for s in reversed(steps) if s.direction == "deploy" and s.statement is not None and s.migration not in whole
    ]


def _left(step: Step, migration: Migration | None) -> _Left | None:
    """The statement of a step, if the file on disk still has the one that ran."""
    statements = migration.deploy.statements if migration else ()
    if migration is None or step.statement is None or step.statement >= len(statements):
        return None
    statement = statements[step.statement]
    if hashlib.sha256(statement.sql.encode()).hexdigest() != step.sql_sha256:
        return None
    return _Left(migration.deploy, statement, step.status)


def _drop_index(connection: psycopg.Connection, left: _Left) -> Iterator[str]:
    """Drop the index a statement made: a valid one if it was made here, an invalid one in any case."""
    if left.statement.kind == "ReindexStmt" and left.status != "done":
        reconcile.clear(connection, left.script, left.statement, ours=True)
    if left.statement.kind != "IndexStmt":
        return
    index = reconcile.index_of(connection, left.statement)
    if index is None or not index.of_table:
        return
    if not index.usable or (left.status != "failed" and not _maybe_older(left.statement)):
        reconcile.drop(connection, index.name)
        yield index.name


def _kept(left: _Left) -> Iterator[str]:
    """What stays of a statement, after the indexes are gone."""
    where = f"{place(left.script, left.statement)}: {left.statement.kind}"
    if left.statement.kind in _LEAVES_NOTHING or left.statement.kind == "ReindexStmt":
        return
    if left.statement.kind == "IndexStmt":
        if left.status != "failed" and (_maybe_older(left.statement) or _unnamed(left.statement)):
            yield f"{where} made an index, unless it was there before"
        return
    if left.status == "failed" and not _may_commit(left.statement):
        return
    yield f"{where} {'is' if left.status == 'done' else 'may be'} committed"


def _may_commit(statement: Statement) -> bool:
    """Whether it can have left something although it failed: concurrent ones do it in steps, CALL and DO may COMMIT."""
    return statement.concurrent or statement.kind in {"CallStmt", "DoStmt"}


def _maybe_older(statement: Statement) -> bool:
    return bool(tree(statement).fields.get("if_not_exists"))


def _unnamed(statement: Statement) -> bool:
    return not tree(statement).fields.get("idxname")
