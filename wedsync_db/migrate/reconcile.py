"""What the catalog says about a statement that ran outside a transaction: done, to be run, or not to be known.

What such a statement leaves half done (an invalid index, `…_ccnew` and `…_ccold`, a partition half detached) is ours if
it was not there yet when one of its tries began: the journal has the oids of what was. Anything else is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from wedsync_db.errors import MigrationFailed
from wedsync_db.migrate import detach
from wedsync_db.migrate.explain import place
from wedsync_db.migrate.named import dropped, relation_of
from wedsync_db.model import Script, Statement
from wedsync_db.postgres.autocommit import options
from wedsync_db.postgres.parse import tree
from wedsync_db.postgres.queries import query

_CONCURRENTLY = frozenset({"IndexStmt", "DropStmt", "AlterTableStmt"})
_REPEATABLE = frozenset({"ReindexStmt", "VacuumStmt", "ClusterStmt"})


@dataclass(frozen=True, slots=True)
class Index:
    """An index as the catalog has it; `of_table` is False for one of that name on another table."""

    oid: int
    name: str  # quoted, with its schema
    of_table: bool
    usable: bool


@dataclass(frozen=True, slots=True)
class Invalid:
    """An index that is no good; `leftover` is one that REINDEX CONCURRENTLY makes for itself."""

    oid: int
    name: str  # quoted, with its schema
    leftover: bool


@dataclass(frozen=True, slots=True)
class Tries:
    """The tries of one statement, by the journal: for each the oids of what stood there before."""

    there_before: tuple[frozenset[int], ...]

    def left(self, oid: int) -> bool:
        """Whether it appeared after a try had begun: it is of the statement's making."""
        return any(oid not in there for there in self.there_before)

    def found(self, oid: int) -> bool:
        """Whether it was there before each try: it is somebody else's."""
        return bool(self.there_before) and not self.left(oid)


def there_before(connection: psycopg.Connection, statement: Statement) -> tuple[int, ...]:
    """The oids of what is there now and could be taken for something the statement leaves; for the journal."""
    if statement.kind == "IndexStmt":
        index = index_of(connection, statement)
        return (index.oid,) if index else ()
    if statement.kind == "ReindexStmt":
        return tuple(index.oid for index in invalid(connection, statement))
    partition = detach.partition_of(connection, statement)
    return (partition.oid,) if partition and partition.pending else ()


def settled(connection: psycopg.Connection, statement: Statement, tries: Tries) -> bool | None:
    """Whether a statement that was started had its effect: True done, False to be run (again), None not to be known."""
    if statement.kind == "IndexStmt":
        return None if _is_unnamed(statement) else _is_made(connection, statement, tries)
    if statement.kind == "DropStmt":
        return not any(_exists(connection, name) for name in dropped(statement))
    if detach.is_detach(statement):
        partition = detach.partition_of(connection, statement)
        return partition is not None and not partition.attached
    return False if statement.kind in _REPEATABLE else None


def waits_aside(statement: Statement) -> bool:
    """Whether it is CONCURRENTLY, so that nobody queues behind it while it waits for locks and snapshots.

    VACUUM FULL and CLUSTER may not run in a transaction either, but readers do queue behind them.
    """
    if statement.kind == "ReindexStmt":
        return bool(options(tree(statement).fields.get("params")).get("concurrently"))
    return statement.concurrent and statement.kind in _CONCURRENTLY


def clear(connection: psycopg.Connection, script: Script, statement: Statement, tries: Tries) -> bool:
    """Take away what an earlier try of this statement left; True if with that it is done, and not to be run any more.

    Raises:
        MigrationFailed: something half done is in the way, and the journal does not know it as ours.
    """
    if statement.kind == "ReindexStmt":
        for leftover in invalid(connection, statement):
            if leftover.leftover and tries.left(leftover.oid):
                drop(connection, leftover.name)
    index = index_of(connection, statement) if statement.kind == "IndexStmt" else None
    if index is not None and index.of_table and not index.usable:
        if not tries.left(index.oid):
            raise MigrationFailed(
                f"{place(script, statement)}: an invalid index {index.name} is there, and not of our making",
                hint=f"Look whose it is, then: drop index concurrently {index.name}",
            )
        drop(connection, index.name)
    partition = detach.partition_of(connection, statement)
    if partition is None or not partition.pending:
        return False
    detach.finish(connection, script, statement, partition, ours=tries.left(partition.oid))
    return True


def strangers(connection: psycopg.Connection, statement: Statement, tries: Tries) -> tuple[str, ...]:
    """One line for each invalid index that was there before a REINDEX, which leaves it as it is."""
    if statement.kind != "ReindexStmt":
        return ()
    skips = tree(statement).fields["kind"] == "REINDEX_OBJECT_TABLE"  # CONCURRENTLY: it only warns of them
    found = (i for i in invalid(connection, statement) if (i.leftover or skips) and tries.found(i.oid))
    return tuple(
        f"invalid index {i.name} was there before and stays: no query uses it, every write pays for it; look whose"
        f" it is, then: drop index concurrently {i.name}"
        for i in found
    )


def index_of(connection: psycopg.Connection, statement: Statement) -> Index | None:
    """The index a CREATE INDEX makes, if one of that name is there; None for one that PostgreSQL names by itself."""
    fields = tree(statement).fields
    values = [fields.get("idxname", ""), relation_of(fields["relation"])]
    row = connection.execute(query("reconcile", "index"), values).fetchone()
    return Index(*row) if row else None


def invalid(connection: psycopg.Connection, statement: Statement) -> tuple[Invalid, ...]:
    """The invalid indexes of what a REINDEX names, partitions and TOAST included; none for a schema or a database."""
    relation = tree(statement).fields.get("relation")
    if relation is None:  # what is found in a whole schema need not be ours
        return ()
    rows = connection.execute(query("reconcile", "invalid"), {"relation": relation_of(relation)})
    return tuple(Invalid(*row) for row in rows)


def half_dropped(connection: psycopg.Connection, statement: Statement) -> tuple[str, ...]:
    """Those indexes of a DROP INDEX that are there, and no query uses any more."""
    if statement.kind != "DropStmt":
        return ()
    return tuple(row[0] for row in connection.execute(query("reconcile", "half_dropped"), [dropped(statement)]))


def drop(connection: psycopg.Connection, name: str) -> None:
    """Drop an index by its quoted name, in nobody's way; one that is not there is fine."""
    connection.execute(sql.SQL("drop index concurrently if exists " + name))


def require_done(connection: psycopg.Connection, script: Script, statement: Statement, tries: Tries) -> None:
    """After a statement: the catalog has its effect, whatever IF NOT EXISTS skipped and whatever it only warned of.

    Raises:
        MigrationFailed: it has not.
    """
    if problem := _not_done(connection, statement, tries):
        raise MigrationFailed(
            f"{place(script, statement)}: {problem}",
            hint="IF NOT EXISTS skipped another one of that name, or somebody interrupted it.",
        )


def _not_done(connection: psycopg.Connection, statement: Statement, tries: Tries) -> str | None:
    if statement.kind == "IndexStmt" and not _is_unnamed(statement):
        index = index_of(connection, statement)
        if index is None or not index.of_table or not index.usable:
            return f"{index.name if index else 'the index'} is not a valid index of that table afterwards"
    if statement.kind == "ReindexStmt":
        bad = [i.name for i in invalid(connection, statement) if not tries.found(i.oid)]
        return f"{', '.join(bad)} not valid afterwards" if bad else None
    if waits_aside(statement) and statement.kind != "IndexStmt" and not settled(connection, statement, tries):
        return "it has no effect afterwards"
    return None


def _is_made(connection: psycopg.Connection, statement: Statement, tries: Tries) -> bool:
    """Whether the index is there as wanted, and not just another of that name that was there before."""
    index = index_of(connection, statement)
    if index is None or not index.of_table or not index.usable:
        return False
    return is_skipping(statement) or not tries.found(index.oid)


def is_skipping(statement: Statement) -> bool:
    """Whether it is CREATE INDEX IF NOT EXISTS."""
    return bool(tree(statement).fields.get("if_not_exists"))


def _is_unnamed(statement: Statement) -> bool:
    return not tree(statement).fields.get("idxname")


def _exists(connection: psycopg.Connection, name: str) -> bool:
    row = connection.execute(query("reconcile", "exists"), [name]).fetchone()
    return bool(row and row[0])
