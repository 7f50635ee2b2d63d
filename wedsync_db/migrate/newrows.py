"""Writing a row into each changed table as the new release would, and taking it away again.

A revert that only works while nobody has used the new shape is of no use. Best effort: a row that cannot be made up
says nothing about the migration and becomes a note. Only for scratch servers: it runs as superuser, without triggers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from wedsync_db.postgres.content import quoted
from wedsync_db.postgres.queries import query

# by pg_type.typcategory; texts that every type of the category accepts
_SAMPLES: Mapping[str, str] = {
    "A": "'{}'",
    "B": "true",
    "D": "'2026-06-06 12:00'",
    "N": "1",
    "S": "'new'",
    "T": "'1 day'",
    "I": "'192.0.2.1'",
}
_SAMPLES_BY_TYPE: Mapping[str, str] = {
    "uuid": "pg_catalog.gen_random_uuid()",
    "json": "'{\"new\": true}'",
    "jsonb": "'{\"new\": true}'",
    "bytea": "'\\x01'",
    "tsvector": "'new'",
    "time without time zone": "'12:00'",
    "time with time zone": "'12:00+00'",
}


@dataclass(frozen=True, slots=True)
class Column:
    """What decides which value a new row gets in a column. `references` is `relation|column` of a key of one column."""

    name: str
    type: str
    category: str
    labels: tuple[str, ...] | None
    not_null: bool
    has_default: bool
    generated: bool
    fresh_by_default: bool
    key: bool
    unique: bool
    references: str | None


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row that was written, by its primary key: names and numbers of the columns, and their values as text."""

    relation: str
    oid: int
    key: tuple[str, ...]
    numbers: tuple[int, ...]
    values: tuple[str, ...]


def write_rows(
    connection: psycopg.Connection, relations: Iterable[str], known: Mapping[str, Sequence[str]]
) -> tuple[tuple[NewRow, ...], tuple[str, ...]]:
    """Commit one row into each of the tables among `relations`; what was written, and notes about what could not be.

    Args:
        connection: a superuser's autocommit session.
        relations: quoted names.
        known: the columns each table had before, by quoted name: whatever else it has is given a value of its own.
    """
    rows, failed = [], []
    for (relation,) in connection.execute(query("newrows", "tables"), [list(relations)]).fetchall():
        try:
            rows.append(_write(connection, relation, set(known.get(relation, ()))))
        except psycopg.Error as error:
            failed.append(f"{relation} (SQLSTATE {error.sqlstate})")
        except LookupError as error:
            failed.append(f"{relation} ({error})")
    notes = (f"reverted without a row of the new release in {', '.join(failed)}",) if failed else ()
    return tuple(rows), notes


def remove_rows(connection: psycopg.Connection, rows: Iterable[NewRow]) -> None:
    """Take the rows away, in the transaction that is open, without triggers; one that is gone already is fine.

    They are looked for in the table they were written into, whatever it is called by now, and in the table that has
    its name by now.
    """
    connection.execute(query("newrows", "quietly"))
    for row in rows:
        wanted = {"oid": row.oid, "numbers": list(row.numbers), "relation": row.relation, "key": list(row.key)}
        for relation, key in connection.execute(query("newrows", "whereabouts"), wanted).fetchall():
            statement = sql.SQL(query("newrows", "remove")).format(
                relation=quoted(relation),
                key=sql.SQL(", ").join(map(sql.Identifier, key)),
                values=sql.SQL(", ").join(map(sql.Literal, row.values)),
            )
            connection.execute(statement)


def _write(connection: psycopg.Connection, relation: str, before: set[str]) -> NewRow:
    """Insert one row: with values of our own in new columns, else, where a constraint refuses them, their defaults.

    Raises:
        LookupError: the table has no primary key.
        psycopg.Error: no row of our making is accepted.
    """
    columns = [Column(*row) for row in connection.execute(query("newrows", "columns"), [relation]).fetchall()]
    key = tuple(c.name for c in columns if c.key)
    if not key:
        raise LookupError("no primary key")
    added = {c.name for c in columns if before and c.name not in before}
    if not connection.execute(sql.SQL(query("newrows", "holds_rows")).format(relation=quoted(relation))).fetchall()[0][
        0
    ]:
        columns = [c for c in columns if c.name in added or (c.not_null and not c.has_default)]
    try:
        return _insert(connection, relation, key, values(columns, relation, added))
    except psycopg.Error:
        if not added:
            raise
    return _insert(connection, relation, key, values([c for c in columns if c.name not in added], relation, set()))


def _insert(
    connection: psycopg.Connection, relation: str, key: tuple[str, ...], chosen: Mapping[str, sql.Composable]
) -> NewRow:
    name = "insert" if chosen else "insert_defaults"
    statement = sql.SQL(query("newrows", name)).format(
        relation=quoted(relation),
        columns=sql.SQL(", ").join(map(sql.Identifier, chosen)),
        values=sql.SQL(", ").join(chosen.values()),
        key=sql.SQL(", ").join(sql.SQL("{}::pg_catalog.text").format(sql.Identifier(name)) for name in key),
    )
    with connection.transaction():
        connection.execute(query("newrows", "quietly"))
        row = connection.execute(statement).fetchall()[0]
        oid, numbers = connection.execute(
            query("newrows", "place"), {"relation": relation, "key": list(key)}
        ).fetchall()[0]
    return NewRow(relation, oid, key, tuple(numbers), tuple(row))


def values(columns: Sequence[Column], relation: str, added: set[str]) -> dict[str, sql.Composable]:
    """An expression for each column that gets a value: copied, fresh where it has to be unique, made up where new."""
    return dict(_values(columns, relation, added))


def _values(columns: Sequence[Column], relation: str, added: set[str]) -> Iterator[tuple[str, sql.Composable]]:
    for column in columns:
        if column.generated or (column.fresh_by_default and (column.unique or column.name in added)):
            continue
        copied = sql.SQL("s.{}").format(sql.Identifier(column.name))
        if column.name in added:
            yield column.name, _made_up(column)
        elif column.unique and not column.references:
            yield column.name, _fresh(column, relation)
        elif column.not_null and not column.has_default:
            yield column.name, sql.SQL("coalesce({}, {})").format(copied, _made_up(column))
        else:
            yield column.name, copied


def _made_up(column: Column) -> sql.Composable:
    """A value that is not the default, as far as one can be told from the type; NULL where not."""
    if column.references:
        relation, _, name = column.references.partition("|")
        return sql.SQL("(select {} from {} limit 1)").format(quoted(name), quoted(relation))
    if column.labels:
        return _cast(sql.Literal(column.labels[-1]), column)
    base = column.type.partition("(")[0]
    sample = _SAMPLES_BY_TYPE.get(base) or _SAMPLES.get(column.category)
    return _cast(quoted(sample), column) if sample else sql.NULL


def _fresh(column: Column, relation: str) -> sql.Composable:
    """A value no row has: the next number, or a random text or uuid; else a copy, which a unique index may refuse."""
    name = sql.Identifier(column.name)
    if column.category == "N":
        return sql.SQL("(select coalesce(max({}), 0) + 1 from {})").format(name, quoted(relation))
    if column.category == "S":
        return _cast(sql.SQL("('new-' || pg_catalog.gen_random_uuid())"), column)
    return _made_up(column) if column.type == "uuid" else sql.SQL("s.{}").format(name)


def _cast(value: sql.Composable, column: Column) -> sql.Composed:
    return sql.SQL("{}::{}").format(value, quoted(column.type))
