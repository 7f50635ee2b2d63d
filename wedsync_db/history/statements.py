"""Statements in the history store: what each cost between two looks, and its text once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from wedsync_db.monitor.statements import COUNTERS, OTHERS, Growth, Statements, growth
from wedsync_db.postgres.queries import query

_FILE = "statements"
_SUMMED = ("calls", "seconds", "rows", "blocks_hit", "blocks_read", "share")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a statement cost over a time. `text` is None for all others together (queryid 0), or where nobody has it.

    `share` is of the time that all statements took.
    """

    queryid: int
    text: str | None
    calls: float
    seconds: float
    rows: float
    blocks_hit: float
    blocks_read: float
    share: float | None


def keep(
    connection: psycopg.Connection,
    environment: str,
    found: Statements,
    texts: Callable[[Iterable[int]], Mapping[int, str]],
) -> None:
    """Keep what statements cost since the look before, in one transaction; ask for the texts that are not there yet.

    The first look, and the first one after the counters began anew, only say from where on to count.
    """
    if found.counted is None:
        return
    with connection.transaction():
        before = _before(connection, environment)
        grown = growth(before, found) if before else None
        if grown and grown.by_statement:
            connection.execute(query(_FILE, "put"), _row(environment, grown))
            _keep_texts(connection, environment, grown, texts)
        connection.execute(
            query(_FILE, "remember"),
            {
                "environment": environment,
                "at": found.at,
                "epoch": found.epoch,
                "evictions": found.evictions,
                "queryids": list(found.counted),
                "counters": [value for values in found.counted.values() for value in values],
            },
        )


def top(
    connection: psycopg.Connection, environment: str, since: datetime, until: datetime, most: int = 10
) -> tuple[Cost, ...]:
    """The statements that took longest between two times, longest first; all others together are the last."""
    given = {"environment": environment, "since": since, "until": until}
    costs = [Cost(*row) for row in connection.execute(query(_FILE, "top"), given)]
    named, rest = costs[:most], costs[most:]
    if not rest:
        return tuple(named)
    summed = (sum(getattr(cost, name) or 0 for cost in rest) for name in _SUMMED)
    return (*named, Cost(OTHERS, None, *summed))


def forget(connection: psycopg.Connection, before: datetime) -> None:
    """Forget what is older."""
    connection.execute(query(_FILE, "forget"), {"before": before})


def _before(connection: psycopg.Connection, environment: str) -> Statements | None:
    row = connection.execute(query(_FILE, "newest"), {"environment": environment}).fetchone()
    if not row:
        return None
    at, epoch, evictions, queryids, counters = row
    width = len(COUNTERS)
    counted = {queryid: tuple(counters[place * width : (place + 1) * width]) for place, queryid in enumerate(queryids)}
    return Statements(at.astimezone(UTC), epoch, evictions, counted)


def _row(environment: str, grown: Growth) -> Mapping[str, Any]:
    columns = zip(*grown.by_statement.values(), strict=True)
    return {
        "environment": environment,
        "at": grown.at,
        "seconds": grown.seconds,
        "evicted": grown.evicted,
        "queryids": list(grown.by_statement),
        **{name: list(values) for name, values in zip(COUNTERS, columns, strict=True)},
    }


def _keep_texts(
    connection: psycopg.Connection,
    environment: str,
    grown: Growth,
    texts: Callable[[Iterable[int]], Mapping[int, str]],
) -> None:
    wanted = grown.by_statement.keys() - {OTHERS}
    given = {"environment": environment, "at": grown.at, "queryids": list(wanted)}
    known = {queryid for (queryid,) in connection.execute(query(_FILE, "seen"), given)}
    for queryid, text in texts(wanted - known).items() if wanted - known else ():
        connection.execute(query(_FILE, "put_text"), {**given, "queryid": queryid, "text": text})
