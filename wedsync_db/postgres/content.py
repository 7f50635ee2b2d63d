"""What tables hold, as rows and a hash: equal for a table and its restored copy, on every major, in any row order.

The hash is a sum over the text form of each row. It finds accidents, not forgery. Why this one: bit_xor cannot tell
{a, a, b} from {c, c, b}, hash_record_extended fails on json, and TimeZone alone changes the text of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from wedsync_db.model import RelationContent
from wedsync_db.postgres.queries import query

METHOD: Final = "sum-hashtextextended-v1"

_LAST_BLOCK: Final = 2**32 - 2  # no table has it: it would be the 32 TiB

# Everything the text form of a value depends on. row_security = off makes PostgreSQL refuse where a policy would have
# hidden rows silently.
PINNED: Final[Mapping[str, str]] = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "row_security": "off",
    "search_path": "pg_catalog, pg_temp",
}


def tables(connection: psycopg.Connection) -> tuple[str, ...]:
    """Every user table that holds rows of its own, as quoted `schema.table`, sorted: ordinary ones and partitions.

    Left out: partitioned parents, foreign tables, views, temporary tables; tables of extensions, of the system, ours.
    """
    return tuple(name for (name,) in connection.execute(query("content", "tables")))


def columns_of(connection: psycopg.Connection, relation: str) -> tuple[str, ...]:
    """The table's column names (not quoted), generated ones too, sorted by name: physical order does not count."""
    return tuple(name for (name,) in connection.execute(query("content", "columns"), (relation,)))


def measure(connection: psycopg.Connection, relation: str, columns: Sequence[str] | None = None) -> RelationContent:
    """Count and hash the table's own rows (not those of inheritance children), under pinned settings.

    Args:
        connection: any session; its settings are put back afterwards.
        relation: the quoted name, as `tables` gives it.
        columns: only these, in this order: what is compared before and after a column came or went. All by default.

    Raises:
        psycopg.Error: no such table or column, no right to read it, or a row policy would hide rows from this role.
    """
    with pinned(connection):
        return measure_pinned(connection, relation, columns)


def measure_pinned(
    connection: psycopg.Connection,
    relation: str,
    columns: Sequence[str] | None = None,
    *,
    blocks: tuple[int, int | None] | None = None,
) -> RelationContent:
    """Do what `measure` does in a session that has PINNED in force already: two round trips fewer for each table.

    With `blocks` only the rows in these, from the first on and before the second (None: to the end): over all blocks
    rows and hashes add up to those of the table.
    """
    names = columns_of(connection, relation) if columns is None else columns
    statement = sql.SQL(query("content", "measure")).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, names)), relation=quoted(relation)
    )
    if blocks:
        first, last = (f"({_LAST_BLOCK if block is None else block},0)" for block in blocks)
        statement += sql.SQL("\n" + query("content", "some_blocks")).format(first=first, last=last)
    rows, total = connection.execute(statement).fetchall()[0]
    return RelationContent(relation, rows, total, METHOD)


def measure_large_objects(connection: psycopg.Connection) -> RelationContent:
    """Count and hash the large objects of the database, by number and content.

    Raises:
        psycopg.Error: this role may not read one of them.
    """
    rows, total = connection.execute(query("content", "large_objects")).fetchall()[0]
    return RelationContent("large objects", rows, total, METHOD)


@contextmanager
def pinned(connection: psycopg.Connection) -> Iterator[None]:
    """Put PINNED in force for the block, then the session's own settings again."""
    before: dict[str, str] = dict(connection.execute(query("content", "settings"), (list(PINNED),)).fetchall())
    _set(connection, PINNED)
    try:
        yield
    finally:
        # in a failed transaction nothing can be set, and its end puts the old settings back by itself
        if not connection.closed and connection.info.transaction_status is not TransactionStatus.INERROR:
            _set(connection, before)


def sequences(connection: psycopg.Connection) -> Mapping[str, int]:
    """The last value each sequence handed out, by quoted name; a sequence never drawn from is left out."""
    return dict(connection.execute(query("content", "sequences")).fetchall())


def quoted(relation: str) -> sql.SQL:
    """A name that PostgreSQL has quoted already, as a part of a statement."""
    return sql.SQL(relation)


def _set(connection: psycopg.Connection, settings: Mapping[str, str]) -> None:
    connection.execute(query("content", "set"), (list(settings), list(settings.values())))
