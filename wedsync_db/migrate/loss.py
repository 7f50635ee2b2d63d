"""Counting, in the revert's own transaction, what the revert would lose. at_risk.py decides what the counts mean.

Everything here runs after the tables in question were locked, in READ COMMITTED: each statement sees every row that was
committed before the lock was granted, and nobody can add one before this transaction ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from wedsync_db.migrate import at_risk
from wedsync_db.migrate.at_risk import Column, Effect, Positions, Relation, Survivor
from wedsync_db.migrate.explain import describe
from wedsync_db.model import MigrationProof, RelationContent, Script
from wedsync_db.postgres.content import measure, pinned, quoted
from wedsync_db.postgres.queries import query

Contents = Mapping[str, RelationContent]


@dataclass(frozen=True, slots=True)
class Damage:
    """A table that stays and holds something else after the revert; its columns one by one, where that says more."""

    survivor: Survivor
    risk: str
    columns_after: Contents


def removed(
    connection: psycopg.Connection, effect: Effect, positions: Positions, proof: MigrationProof | None
) -> Iterator[str]:
    """What stands in all that the revert removes, beyond what the migration itself put there."""
    for table in effect.removed_tables:
        yield from _said(at_risk.removed_table(measure(connection, table.name), proof))
    for table, column in effect.removed_columns:
        yield from _said(at_risk.removed_column(table, column, _written_values(connection, table, column)))
    for sequence in effect.removed_sequences:
        yield from _said(at_risk.removed_sequence(sequence, positions[sequence.oid]))
    for composite in effect.removed_types:
        yield at_risk.removed_type(composite)


def by_author(connection: psycopg.Connection, script: Script) -> Iterator[str]:
    """What lossless.sql counts, asked in a savepoint that can write nothing."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set local transaction_read_only = on")
            text = ";\n".join(statement.sql for statement in script.statements)
            rows = connection.execute(text.encode(), prepare=False).fetchall()
    except psycopg.Error as error:
        if connection.closed:
            raise
        yield f"whatever lossless.sql looks at: it failed, {describe(error)}"
        return
    yield from _said(at_risk.lossless(rows))


def contents(connection: psycopg.Connection, effect: Effect) -> Contents:
    """Rows and hash of each table that stays and may be changed, over the columns that stay, before the revert."""
    return {s.before: _content(connection, s, s.columns, after=False) for s in effect.survivors}


def damage(connection: psycopg.Connection, effect: Effect, before: Contents, *, by_column: bool) -> tuple[Damage, ...]:
    """Compare each table that stays with what it held before; where values differ, look at each column `by_column`."""
    found = []
    for one in effect.survivors:
        now = _content(connection, one, one.columns, after=True)
        risk = at_risk.survivor(before[one.before], now)
        if risk is not None:
            values = by_column and now.rows == before[one.before].rows
            found.append(Damage(one, risk, _by_column(connection, one, after=True) if values else {}))
    return tuple(found)


def named(connection: psycopg.Connection, damages: Sequence[Damage]) -> Iterator[str]:
    """The risks, by column where possible. Call it when the revert was taken back: it looks at the columns again."""
    for one in damages:
        before = _by_column(connection, one.survivor, after=False) if one.columns_after else {}
        names = [name for name in before if before[name].hash != one.columns_after[name].hash]
        yield from (f"values in {one.survivor.before}.{name} would not survive" for name in names)
        if not names:
            yield one.risk


def _by_column(connection: psycopg.Connection, survivor: Survivor, *, after: bool) -> Contents:
    return {pair[0]: _content(connection, survivor, (pair,), after=after) for pair in survivor.columns}


def _content(
    connection: psycopg.Connection, survivor: Survivor, columns: tuple[tuple[str, str], ...], *, after: bool
) -> RelationContent:
    name = survivor.after if after else survivor.before
    return measure(connection, name, [pair[after] for pair in columns])


def _written_values(connection: psycopg.Connection, table: Relation, column: Column) -> int:
    name = "all_values" if column.default == "variable" else "written_values"
    default = f"({column.default_sql})::{column.type}::pg_catalog.text" if column.default == "constant" else "null"
    statement = sql.SQL(query("undo", name)).format(
        relation=quoted(table.name), column=sql.Identifier(column.name), default=quoted(default)
    )
    with pinned(connection):  # the default's text was read under the same settings
        return int(connection.execute(statement).fetchall()[0][0])


def _said(risk: str | None) -> Iterator[str]:
    if risk is not None:
        yield risk
