"""What a copy is like between two migrations, kept up to date by measuring only what a migration touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psycopg

from wedsync_db.model import Fingerprint, RelationContent
from wedsync_db.postgres import content, fingerprint


@dataclass(frozen=True, slots=True)
class State:
    """Catalog, rows and columns of each table, and how far sequences were drawn."""

    catalog: Fingerprint
    content: Mapping[str, RelationContent]
    columns: Mapping[str, tuple[str, ...]]
    sequences: Mapping[str, int]


def look(superuser: psycopg.Connection, known: Mapping[str, RelationContent], changed: Iterable[str] = ()) -> State:
    """Read the whole state; tables that are in `known` and not in `changed` are taken to hold what is known.

    Args:
        superuser: a session that sees all rows.
        known: from a manifest that was compared, or from the state before.
        changed: relations whose rows may have changed since.
    """
    stale = set(changed)
    names = content.tables(superuser)
    return State(
        fingerprint.take(superuser),
        {n: known[n] if n in known and n not in stale else content.measure(superuser, n) for n in names},
        {n: content.columns_of(superuser, n) for n in names},
        content.sequences(superuser),
    )


def reread(connection: psycopg.Connection, before: State, relations: Iterable[str]) -> dict[str, RelationContent]:
    """Measure these tables again by the columns they had before; what cannot be read is left out. In a transaction."""
    found = {}
    for name in relations:
        try:
            with connection.transaction():
                found[name] = content.measure(connection, name, before.columns[name])
        except psycopg.errors.ProgrammingError:  # no such table or column any more
            continue
    return found


def gone_back(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[str, ...]:
    """Sequences that would hand out numbers again. One that is missing altogether is the catalog's matter."""
    return tuple(sorted(name for name, value in before.items() if after.get(name, 0) < value))
