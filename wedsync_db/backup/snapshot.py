"""One moment of the database, seen by several sessions: what is dumped and what is measured are the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import sql

from wedsync_db.errors import BackupError
from wedsync_db.postgres.content import PINNED, quoted, tables
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session

LOCK_WAIT_MS = 30_000  # for a table somebody holds exclusively; nobody queues behind us meanwhile but other DDL
_BEGIN = "begin isolation level repeatable read read only"
_UNSEEN = {
    "schema": ("may not use the schema of {}", "grant usage on the schema, or pg_read_all_data, to the role"),
    "select": ("may not read {}", "grant select on it, or pg_read_all_data, to the role"),
    "large object": ("may not read {}", "grant select on it to the role; pg_read_all_data does not help here"),
    "policy": (
        "does not see all rows of {}: row level security hides some",
        "back up as a role with BYPASSRLS; dumping what the policies show would lose the rest without a word",
    ),
}


def require_full_view(connection: psycopg.Connection) -> None:
    """Make sure that this role sees every row of every table, and every large object.

    Raises:
        BackupError: it does not; naming the table or the object, and the role.
    """
    row = connection.execute(query("backup", "unseen")).fetchone()
    if row is None and (numbers := connection.execute(query("backup", "unseen_large_object")).fetchone()):
        row = f"large object {numbers[0]}", "large object"
    if row is None:
        return
    relation, reason = row
    role = connection.execute("select current_user").fetchall()[0][0]
    what, hint = _UNSEEN[reason]
    raise BackupError(f"role {role} {what.format(relation)}", hint=hint)


@contextmanager
def exported(address: Address, purpose: str) -> Iterator[tuple[psycopg.Connection, str]]:
    """A session in a read-only transaction, and its snapshot's name for pg_dump and `importing`.

    Its tables are locked (ACCESS SHARE) before the snapshot is taken: a TRUNCATE or a rewrite in between would make old
    rows invisible to the snapshot.

    Raises:
        BackupError: this role does not see all rows.
        psycopg.errors.LockNotAvailable: somebody holds a table exclusively for too long.
    """
    with session(address, purpose, statement_timeout_ms=0, lock_timeout_ms=LOCK_WAIT_MS, settings=PINNED) as connection:
        connection.execute(query("backup", "patient"))
        require_full_view(connection)
        names = tables(connection)
        connection.execute(_BEGIN)
        _lock(connection, names)
        yield connection, connection.execute("select pg_catalog.pg_export_snapshot()").fetchall()[0][0]


@contextmanager
def importing(
    address: Address, purpose: str, snapshot: str, relations: tuple[str, ...], count: int
) -> Iterator[tuple[psycopg.Connection, ...]]:
    """`count` more sessions in the same snapshot, with the relations locked so that they never queue behind DDL."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(_importing(address, purpose, snapshot, relations)) for _ in range(count))


@contextmanager
def _importing(
    address: Address, purpose: str, snapshot: str, relations: tuple[str, ...]
) -> Iterator[psycopg.Connection]:
    with session(address, purpose, statement_timeout_ms=0, lock_timeout_ms=LOCK_WAIT_MS, settings=PINNED) as connection:
        connection.execute(query("backup", "patient"))
        connection.execute(_BEGIN)
        connection.execute(sql.SQL("set transaction snapshot {}").format(snapshot))
        _lock(connection, relations)
        yield connection


def _lock(connection: psycopg.Connection, relations: tuple[str, ...]) -> None:
    if relations:
        names = sql.SQL(", ").join(sql.SQL("only ") + quoted(name) for name in relations)
        connection.execute(sql.SQL("lock table {} in access share mode").format(names))
