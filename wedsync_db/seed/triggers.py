"""Triggers that stand aside while made-up rows are written, and act again afterwards.

They would turn back a wedding that is near, set updated_at to now and write an audit log of today: rows that depend on
the clock. Taken back with the transaction when it fails; foreign keys and all other constraints are no such triggers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import psycopg
from psycopg import sql

from wedsync_db.postgres.queries import query


def without_triggers(connection: psycopg.Connection, tables: Sequence[str]) -> AbstractContextManager[None]:
    """Switch off what acts on these tables, and exactly that on again as it was; inside a transaction."""
    return standing_aside(connection, connection.execute(query("seed", "acting_triggers"), [list(tables)]).fetchall())


@contextmanager
def standing_aside(connection: psycopg.Connection, acting: Sequence[tuple[str, str, str, bool]]) -> Iterator[None]:
    """Switch these triggers off for the block: schema, table, name, and whether it acts on replicated rows, too."""
    for schema, table, trigger, _ in acting:
        _alter(connection, sql.SQL("disable"), schema, table, trigger)
    yield
    for schema, table, trigger, always in acting:
        _alter(connection, sql.SQL("enable always" if always else "enable"), schema, table, trigger)


def _alter(connection: psycopg.Connection, what: sql.SQL, schema: str, table: str, trigger: str) -> None:
    statement = sql.SQL("alter table {} {} trigger {}")
    connection.execute(statement.format(sql.Identifier(schema, table), what, sql.Identifier(trigger)))
