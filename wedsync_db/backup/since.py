"""What was written to a database since a backup: what somebody would miss who used the backup instead of it.

Rows are counted, not compared: how many there are now, and how many were inserted or updated since, by the transaction
that wrote each. A row that was updated and then deleted shows in the counts only. What cannot be counted is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from wedsync_db.errors import Unreachable
from wedsync_db.model import Backup, Manifest
from wedsync_db.postgres.content import quoted, tables
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.server import server_facts
from wedsync_db.postgres.session import Address, session

_HALF = 2**31  # how far apart 32-bit transaction numbers can be compared
_TABLE_SECONDS = 30
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class TableSince:
    """A table then and now; None: not known. `written`: rows there now that were inserted or updated since."""

    relation: str
    rows_then: int
    rows_now: int | None
    written: int | None

    @property
    def changed(self) -> bool:
        """Whether anything is known to be different, or is not known."""
        return self.written != 0 or self.rows_then != self.rows_now


@dataclass(frozen=True, slots=True)
class Since:
    """`transactions`: how many began on the whole server since, at most. `unknown`: why nothing could be asked."""

    backup: str
    made: datetime
    tables: tuple[TableSince, ...] = ()
    transactions: int | None = None
    unknown: str = ""


def since(backup: Backup, address: Address) -> Since:
    """Look at the database as it is now; what cannot be asked is said in `unknown`, never raised."""
    manifest = backup.manifest
    try:
        with session(
            address, "restore", statement_timeout_ms=_TABLE_SECONDS * 1000, settings={"row_security": "off"}
        ) as connection:
            xid = _comparable(connection, manifest)
            found = tuple(_tables(connection, manifest, xid))
            latest = _next(connection)
    except (Unreachable, psycopg.Error) as error:
        said = error.message if isinstance(error, Unreachable) else error.diag.message_primary or type(error).__name__
        return Since(backup.id, manifest.created_at, unknown=f"the database could not be asked: {said}")
    return Since(backup.id, manifest.created_at, found, None if xid is None else latest - xid)


def since_lines(found: Since) -> tuple[str, ...]:
    """For people, a line each: rows and transactions that are not in the backup."""
    head = f"the backup is of {found.made:%Y-%m-%d %H:%M:%S %Z}; what was written since is not in it"
    if found.unknown:
        return (f"{head}. How much that is, is not known: {found.unknown}",)
    number = "an unknown number of" if found.transactions is None else f"at most {found.transactions:,}"
    changed = [one for one in found.tables if one.changed]
    more = [f"… and {len(changed) - _SHOWN} more tables"] if len(changed) > _SHOWN else []
    same = len(found.tables) - len(changed)
    return (
        f"{head}: {number} transactions on that server",
        *map(_line, changed[:_SHOWN]),
        *more,
        f"{same} {'table has' if same == 1 else 'tables have'} as many rows as then, and none written since",
    )


def _line(table: TableSince) -> str:
    now = "an unknown number" if table.rows_now is None else f"{table.rows_now:,}"
    written = "an unknown number" if table.written is None else f"{table.written:,}"
    return f"{table.relation}: {table.rows_then:,} rows then, {now} now; {written} inserted or updated since"


def _comparable(connection: psycopg.Connection, manifest: Manifest) -> int | None:
    """The backup's place among the server's transactions, if it is this very database and not too long ago."""
    facts = server_facts(connection)
    same = (facts.system_identifier, facts.database_oid) == (
        manifest.server.system_identifier,
        manifest.server.database_oid,
    )
    if not same or manifest.xid is None or not 0 <= _next(connection) - manifest.xid < _HALF:
        return None
    return manifest.xid


def _next(connection: psycopg.Connection) -> int:
    return int(connection.execute(query("since", "next_transaction")).fetchall()[0][0])


def _tables(connection: psycopg.Connection, manifest: Manifest, xid: int | None) -> Iterator[TableSince]:
    then = {one.relation: one.rows for one in manifest.relations}
    now = set(tables(connection))
    for relation in sorted(then.keys() | now):
        rows, written = _count(connection, relation, xid) if relation in now else (0, 0)
        yield TableSince(relation, then.get(relation, 0), rows, written)


def _count(connection: psycopg.Connection, relation: str, xid: int | None) -> tuple[int | None, int | None]:
    statement = sql.SQL(query("since", "rows")).format(relation=quoted(relation.replace("%", "%%")))
    try:
        rows, written = connection.execute(statement, {"xid": (xid or 0) % 2**32}).fetchall()[0]
    except psycopg.Error:  # too large to be counted in time, locked, or hidden from the role
        if connection.closed:
            raise
        return None, None
    return rows, written if xid is not None else None
