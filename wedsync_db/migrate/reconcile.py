"""What the catalog says about a statement that ran outside a transaction: done, to be run, or not to be known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from wedsync_db.errors import MigrationFailed
from wedsync_db.migrate.explain import place
from wedsync_db.model import Script, Statement
from wedsync_db.postgres.autocommit import options
from wedsync_db.postgres.parse import Fields, tree
from wedsync_db.postgres.queries import query

_CONCURRENTLY = frozenset({"IndexStmt", "DropStmt", "AlterTableStmt"})
_REPEATABLE = frozenset({"ReindexStmt", "VacuumStmt", "ClusterStmt"})


@dataclass(frozen=True, slots=True)
class Index:
    """An index as the catalog has it; `of_table` is False for one of that name on another table."""

    name: str  # quoted, with its schema
    of_table: bool
    usable: bool


def settled(connection: psycopg.Connection, statement: Statement) -> bool | None:
    """Whether a statement that was started had its effect: True done, False to be run (again), None not to be known."""
    if statement.kind == "IndexStmt":
        index = index_of(connection, statement)
        return None if _unnamed(statement) else index is not None and index.of_table and index.usable
    if statement.kind == "DropStmt":
        return not any(_exists(connection, name) for name in _dropped(statement))
    return False if statement.kind in _REPEATABLE else None


def waits_aside(statement: Statement) -> bool:
    """Whether it is CONCURRENTLY, so that nobody queues behind it while it waits for locks and snapshots.

    VACUUM FULL and CLUSTER may not run in a transaction either, but readers do queue behind them.
    """
    if statement.kind == "ReindexStmt":
        return bool(options(tree(statement).fields.get("params")).get("concurrently"))
    return statement.concurrent and statement.kind in _CONCURRENTLY


def clear(connection: psycopg.Connection, script: Script, statement: Statement, *, ours: bool) -> None:
    """Drop what an earlier try of this statement left: its invalid index, or REINDEX CONCURRENTLY's.

    Raises:
        MigrationFailed: there is an invalid index of that name, and the journal does not know it as ours.
    """
    if statement.kind == "ReindexStmt" and ours:
        for name in _leftovers(connection, statement):
            drop(connection, name)
    index = index_of(connection, statement) if statement.kind == "IndexStmt" else None
    if index is None or index.usable or not index.of_table:
        return
    if not ours:
        raise MigrationFailed(
            f"{place(script, statement)}: an invalid index {index.name} is there, and not of our making",
            hint=f"Look whose it is, then: drop index concurrently {index.name}",
        )
    drop(connection, index.name)


def index_of(connection: psycopg.Connection, statement: Statement) -> Index | None:
    """The index a CREATE INDEX makes, if one of that name is there; None for one that PostgreSQL names by itself."""
    fields = tree(statement).fields
    values = [fields.get("idxname", ""), _relation(fields["relation"])]
    row = connection.execute(query("reconcile", "index"), values).fetchone()
    return Index(*row) if row else None


def drop(connection: psycopg.Connection, name: str) -> None:
    """Drop an index by its quoted name, in nobody's way; one that is not there is fine."""
    connection.execute(sql.SQL("drop index concurrently if exists " + name))


def require_usable(connection: psycopg.Connection, script: Script, statement: Statement) -> None:
    """After CREATE INDEX, whatever IF NOT EXISTS skipped: the index is there, on that table, and valid.

    Raises:
        MigrationFailed: it is not.
    """
    if statement.kind != "IndexStmt" or _unnamed(statement):
        return
    index = index_of(connection, statement)
    if index is None or not index.of_table or not index.usable:
        what = index.name if index else "the index"
        raise MigrationFailed(
            f"{place(script, statement)}: {what} is not a valid index of that table afterwards",
            hint="IF NOT EXISTS skipped another one of that name, or its build was interrupted.",
        )


def _unnamed(statement: Statement) -> bool:
    return not tree(statement).fields.get("idxname")


def _dropped(statement: Statement) -> list[str]:
    objects = tree(statement).fields["objects"]
    return [_quoted(part["String"]["sval"] for part in item["List"]["items"]) for item in objects]


def _leftovers(connection: psycopg.Connection, statement: Statement) -> list[str]:
    relation = tree(statement).fields.get("relation")
    if relation is None:  # a schema or the whole database: what is found there need not be ours
        return []
    return [row[0] for row in connection.execute(query("reconcile", "leftovers"), {"relation": _relation(relation)})]


def _exists(connection: psycopg.Connection, name: str) -> bool:
    row = connection.execute(query("reconcile", "exists"), [name]).fetchone()
    return bool(row and row[0])


def _relation(node: Fields) -> str:
    return _quoted(part for part in (node.get("schemaname"), node["relname"]) if part)


def _quoted(parts: Iterable[str]) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
