"""Which tables need freezing, vacuum or analyze, and which of them somebody asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from wedsync_db.maintain.plan import Action, Candidate
from wedsync_db.postgres.queries import query
from wedsync_db.settings import MaintenanceSettings

_BETWEEN_LOOKS_SECONDS = 1.0  # a server's sessions report what they wrote once a second


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody put on the list, and the tables it comes to: none where it is gone by now."""

    relation: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """The tables that need something, and the open requests."""

    candidates: tuple[Candidate, ...]
    requests: tuple[Request, ...] = ()


def needs(
    connection: psycopg.Connection, settings: MaintenanceSettings, *, sleep: Callable[[float], None] = time.sleep
) -> Needs:
    """What the night could do here; looks twice, a second apart, at how hard each table is written.

    Args:
        connection: An autocommit session: inside a transaction both looks would see the same counters.
        settings: From which share of the freeze age on a table is frozen.
        sleep: Waits between the two looks.
    """
    rows = connection.execute(query("maintenance", "candidates"), {"freeze_ratio": settings.freeze_ratio}).fetchall()
    found = {row[0]: _candidate(row) for row in rows}
    asked = _requested(connection)
    found = _with_requests(found, asked)
    rates = _changes_per_minute(connection, list(found), sleep)
    candidates = tuple(replace(one, changes_per_minute=rates.get(oid)) for oid, one in found.items())
    return Needs(candidates, _requests(asked))


def finish_request(connection: psycopg.Connection, relation: str, outcome: str) -> None:
    """Take a request off the list; `outcome` is what its sender will read."""
    connection.execute(query("maintenance", "finish_request"), {"relation": relation, "outcome": outcome})


def _candidate(row: Sequence[Any]) -> Candidate:
    _, table, action, priority, size, frozen, running = row
    return Candidate(table, action, priority, size, freeze_ratio=frozen, running=running)


def _requested(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    if not connection.execute(query("maintenance", "has_requests"), {}).fetchall()[0][0]:
        return []
    return connection.execute(query("maintenance", "requests"), {}).fetchall()


def _with_requests(found: Mapping[int, Candidate], asked: Iterable[Sequence[Any]]) -> dict[int, Candidate]:
    """The candidates, those asked for marked; who asks for a table gets it vacuumed, also where it could wait."""
    both = dict(found)
    for _, oid, table, action, size in asked:
        if oid is None:
            continue
        known = both.get(oid, Candidate(table, action, 0.0, size))
        both[oid] = replace(known, action=_stronger(known.action, action), requested=True)
    return both


def _stronger(one: Action, other: Action) -> Action:
    return next(action for action in ("freeze", "vacuum", "analyze") if action in (one, other))


def _requests(asked: Iterable[Sequence[Any]]) -> tuple[Request, ...]:
    tables: dict[str, list[str]] = {}
    for relation, _, table, *_ in asked:
        tables.setdefault(relation, []).extend([table] if table else [])
    return tuple(Request(relation, tuple(names)) for relation, names in tables.items())


def _changes_per_minute(
    connection: psycopg.Connection, oids: list[int], sleep: Callable[[float], None]
) -> Mapping[int, float]:
    """How hard each table is written; what began anew in between is not known."""
    if not oids:
        return {}
    began, before = time.monotonic(), _changes(connection, oids)
    sleep(_BETWEEN_LOOKS_SECONDS)
    minutes = max(time.monotonic() - began, 0.001) / 60
    after = _changes(connection, oids)
    grown = {oid: after[oid] - before[oid] for oid in before.keys() & after.keys()}
    return {oid: count / minutes for oid, count in grown.items() if count >= 0}


def _changes(connection: psycopg.Connection, oids: list[int]) -> dict[int, int]:
    return dict(connection.execute(query("maintenance", "changes"), {"tables": oids}).fetchall())
