"""The schema as the catalog has it, in the parts that documentation tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar

import psycopg

from wedsync_db.postgres.queries import query
from wedsync_db.schema.checks import ROOTS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column:
    """`default` is an expression; of a generated column it is what generates it."""

    name: str
    type: str
    required: bool
    generated: bool
    default: str
    comment: str


@dataclass(frozen=True, slots=True)
class Constraint:
    """`kind` as in pg_constraint: p, u, f, c, x. `text` is a check's expression, of others the whole definition."""

    kind: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index that is no constraint's: its columns and condition as PostgreSQL writes them."""

    unique: bool
    text: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is let at which rows: `using` chooses among those there are, `check` among those that are written."""

    command: str
    roles: tuple[str, ...]
    using: str
    check: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A privilege of a role; no columns means the whole table."""

    role: str
    privilege: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trigger:
    """What is called `before`, `after` or `instead of` which events, perhaps only for an update of these columns."""

    function: str
    timing: str
    events: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view, named `schema.name`, with all that belongs to it."""

    name: str
    comment: str
    is_view: bool
    partitioned_by: str
    protected: bool
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]
    policies: tuple[Policy, ...]
    grants: tuple[Grant, ...]
    triggers: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its arguments' types in its name, and who may call it besides its owner."""

    name: str
    comment: str
    definer: bool
    callers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything the documentation tells, by name."""

    tables: tuple[Table, ...]
    functions: tuple[Function, ...]


def read_catalog(connection: psycopg.Connection) -> Catalog:
    """Read it; nothing of the session is left changed."""
    with connection.transaction(force_rollback=True):
        connection.execute(query("schema_checks", "pin"))
        parts = tuple(
            _by_table(connection, name, kind)
            for name, kind in (
                ("columns", Column),
                ("constraints", Constraint),
                ("indexes", Index),
                ("policies", Policy),
                ("grants", Grant),
                ("triggers", Trigger),
            )
        )
        tables = tuple(Table(*row, *(part.get(row[0], ()) for part in parts)) for row in _rows(connection, "tables"))
        functions = tuple(Function(*row) for row in _rows(connection, "functions"))
    return Catalog(tables, functions)


def _by_table(connection: psycopg.Connection, name: LiteralString, kind: Callable[..., T]) -> dict[str, tuple[T, ...]]:
    found: dict[str, tuple[T, ...]] = {}
    for table, *row in _rows(connection, name):
        found[table] = (*found.get(table, ()), kind(*row))
    return found


def _rows(connection: psycopg.Connection, name: LiteralString) -> list[tuple[Any, ...]]:
    """A query's rows; its arrays as tuples."""
    scope, body = query("schema_checks", "scope"), query("schema_document", name)
    rows = connection.execute(f"{scope}\n{body}", {"roots": list(ROOTS)}).fetchall()
    return [tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in rows]
