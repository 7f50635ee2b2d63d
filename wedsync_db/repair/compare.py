"""Finding what the migrations took: a merge of two sorted streams of rows, one row of each in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import psycopg
from psycopg import sql

from wedsync_db.postgres.content import columns_of, measure_pinned, quoted
from wedsync_db.postgres.queries import query
from wedsync_db.repair.decide import Column, Comparison, Shape, Values, is_lost

Key = tuple[str, ...]
Row = tuple[Key, Values]
_T = TypeVar("_T")
_FETCHED_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Lost:
    """A row as it was, and as the migrations left it: None where they took it away."""

    key: Key
    before: Values
    after: Values | None


def shape(connection: psycopg.Connection, relation: str) -> Shape:
    """A table's key and columns, under pinned settings."""
    key = tuple(name for (name,) in connection.execute(query("repair", "key"), [relation]))
    rows = connection.execute(query("repair", "columns"), [relation]).fetchall()
    return Shape(key, {name: Column(*known) for name, *known in rows})


def is_same(before: psycopg.Connection, after: psycopg.Connection, relation: str) -> bool:
    """Whether the migrations left the table and all that it held as they were."""
    names = columns_of(before, relation)
    if not set(names) <= set(columns_of(after, relation)):
        return False
    return measure_pinned(before, relation, names) == measure_pinned(after, relation, names)


def lost(before: Iterable[Row], after: Iterable[Row], judged: Sequence[int]) -> Iterator[Lost]:
    """The rows of `before` that are gone or poorer in `after`; both sorted by key."""
    others = iter(after)
    other = next(others, None)
    for key, values in before:
        while other is not None and other[0] < key:
            other = next(others, None)
        made = other[1] if other is not None and other[0] == key else None
        if is_lost(judged, values, made):
            yield Lost(key, values, made)


def batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


@contextmanager
def losses(
    before: psycopg.Connection, after: psycopg.Connection, table: Comparison, *, there: Shape | None
) -> Iterator[Iterator[Lost]]:
    """What the migrations took from a table; `there` is its shape afterwards, None where it was dropped."""
    with ExitStack() as stack:
        left = stack.enter_context(_rows(before, table, table.columns))
        right: Iterator[Row] = iter(())
        if there is not None:
            right = stack.enter_context(_rows(after, table, there.columns))
        yield lost(left, right, table.judged)


@contextmanager
def _rows(connection: psycopg.Connection, table: Comparison, there: Iterable[str]) -> Iterator[Iterator[Row]]:
    """The table's rows by key; a column that is not there counts as NULL, as it does before somebody fills it."""
    known = set(there)
    statement = sql.SQL(query("repair", "rows")).format(
        key=sql.SQL(", ").join(map(as_text, table.key)),
        values=sql.SQL(", ").join(as_text(c) if c in known else sql.NULL for c in table.columns),
        relation=quoted(table.relation),
        order=sql.SQL(", ").join(sql.SQL("pg_catalog.convert_to({}, 'UTF8')").format(as_text(k)) for k in table.key),
    )
    with connection.transaction(), connection.cursor("rows") as cursor:
        cursor.itersize = _FETCHED_ROWS
        cursor.execute(statement)
        yield ((tuple(key), tuple(values)) for key, values in cursor)


def as_text(column: str) -> sql.Composed:
    """A column's value in its text form."""
    return sql.SQL("{}::pg_catalog.text").format(sql.Identifier(column))
