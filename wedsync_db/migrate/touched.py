"""What the open transaction has changed, told by the locks it keeps, and what those relations are like now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from wedsync_db.migrate.at_risk import Column, Positions, Relation, Relations
from wedsync_db.postgres.content import pinned
from wedsync_db.postgres.queries import query


@dataclass(frozen=True, slots=True)
class Touched:
    """Relations by oid: all that may have changed; those that rows were written to; those nobody else may even read."""

    oids: frozenset[int]
    written: frozenset[int]
    exclusive: frozenset[int]
    large_objects: bool


def touched(connection: psycopg.Connection) -> Touched:
    """Ask the server which locks this transaction keeps. What a rolled back savepoint locked does not count."""
    rows = connection.execute(query("undo", "touched")).fetchall()
    large = connection.execute(query("undo", "touched_large_objects")).fetchone()
    return Touched(
        oids=frozenset(oid for oid, _, _ in rows),
        written=frozenset(oid for oid, written, _ in rows if written),
        exclusive=frozenset(oid for oid, _, exclusive in rows if exclusive),
        large_objects=bool(large and large[0]),
    )


def relations(connection: psycopg.Connection, oids: Iterable[int]) -> Relations:
    """Those of the relations that hold values and exist now, with their columns. Schema wedsync_db is left out."""
    wanted = list(oids)
    with pinned(connection):  # a default's text depends on search_path
        columns: dict[int, list[Column]] = {}
        for oid, *column in connection.execute(query("undo", "columns"), [wanted]):
            columns.setdefault(oid, []).append(Column(*column))
        rows = connection.execute(query("undo", "relations"), [wanted]).fetchall()
    return {
        oid: Relation(oid, name, kind, storage, tuple(columns.get(oid, ())), (table, number) if table else None)
        for oid, name, kind, storage, table, number in rows
    }


def positions(connection: psycopg.Connection, found: Relations) -> Positions:
    """How far each sequence has been drawn, counted upwards whatever its direction; None where it has not been."""
    oids = [r.oid for r in found.values() if r.kind == "S"]
    return dict(connection.execute(query("undo", "positions"), [oids]).fetchall()) if oids else {}
