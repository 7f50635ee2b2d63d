"""What statements cost, by pg_stat_statements: its counters without texts, and what they grew by. Never resets it.

Absent, not preloaded, too old or out of this role's reach is a problem in words, and nothing else stops for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg import sql

from wedsync_db.monitor.metrics import Metric
from wedsync_db.postgres.queries import query
from wedsync_db.redact import redact, without_literals

# as the columns of the query and of the history store
COUNTERS = (
    "calls", "execution_seconds", "rows", "blocks_hit", "blocks_read", "read_seconds", "temporary_blocks", "wal_bytes",
)  # fmt: skip
OTHERS = 0  # all statements that are not among the most expensive ones; those that are not shown are among them
_OLDEST, _RENAMED = (1, 9), (1, 11)  # versions: with pg_stat_statements_info; with other names for the times
_MOST_CHARACTERS = 2_000
STATEMENTS = Metric("statements_known", "gauge", "statements")
EVICTED = Metric("statements_evicted", "counter", "statements")
CALLS = Metric("statement_calls", "counter", "calls")
TIME = Metric("statement_time", "counter", "seconds")
Values = tuple[float, ...]  # in the order of COUNTERS


@dataclass(frozen=True, slots=True)
class Statements:
    """The counters of all statements of a database. `counted` is None where they cannot be read: `problems` say why.

    `epoch` changes when they began anew; `evictions` counts the entries that had to go for new ones. `is_absent`:
    nobody counts them here, which may be meant so.
    """

    at: datetime
    epoch: str = ""
    evictions: int = 0
    counted: Mapping[int, Values] | None = None
    problems: tuple[str, ...] = ()
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class Growth:
    """What statements cost between two looks, those that took longest first, the others summed up last.

    `evicted` are the entries that were lost in between, with what they had counted.
    """

    at: datetime
    seconds: float
    by_statement: Mapping[int, Values] = field(default_factory=dict)
    evicted: int = 0


def read_statements(connection: psycopg.Connection, at: datetime, database: str | None = None) -> Statements:
    """The counters of this database now, or of another one of the server, without any text."""
    try:
        found = connection.execute(query("statements", "extension")).fetchone()
        if problem := _unusable(found):
            return Statements(at, problems=(problem,), is_absent=not found or not found[2])
        home, version, _ = found or ("", "", False)
        epoch, evictions = connection.execute(_of(home, "info", version)).fetchall()[0]
        rows = connection.execute(_of(home, "counters", version), {"database": database}).fetchall()
    except psycopg.Error as error:
        return Statements(at, problems=(_why(error),))
    counted = {int(queryid): tuple(map(float, values)) for queryid, *values in rows}
    hidden = ("statements: some are not shown to this role: grant pg_read_all_stats",) if OTHERS in counted else ()
    return Statements(at, epoch, evictions, counted, hidden)


def totals(found: Statements) -> Mapping[Metric, float | None]:
    """What all statements cost so far, as series without a label: by statement they would be without end."""
    counted = None if found.counted is None else list(found.counted.values())
    return {
        STATEMENTS: None if counted is None else float(len(counted)),
        EVICTED: None if counted is None else float(found.evictions),
        CALLS: None if counted is None else sum(values[0] for values in counted),
        TIME: None if counted is None else sum(values[1] for values in counted),
    }


def texts(connection: psycopg.Connection, queryids: Iterable[int], database: str | None = None) -> Mapping[int, str]:
    """What these statements say, without what stands in quotes; those that are not there any more are left out."""
    wanted = sorted(set(queryids) - {OTHERS})
    if not wanted:
        return {}
    try:
        found = connection.execute(query("statements", "extension")).fetchone()
        if not found:
            return {}
        rows = connection.execute(
            _of(found[0], "texts", found[1]), {"queryids": wanted, "database": database}
        ).fetchall()
    except psycopg.Error:
        return {}  # the next time
    return {queryid: shown(text) for queryid, text in rows}


def shown(text: str) -> str:
    """A statement as it may be kept: utility statements have their values in them, a password for one."""
    return redact(without_literals(text))[:_MOST_CHARACTERS]


def growth(before: Statements, after: Statements, most: int = 100) -> Growth | None:
    """What each statement cost in between; None across epochs, or where one of the two could not be read. Pure.

    A statement whose counter fell was evicted and came back: it is left out. One that is new began in between.
    """
    seconds = (after.at - before.at).total_seconds()
    if before.counted is None or after.counted is None or before.epoch != after.epoch or seconds <= 0:
        return None
    nothing = (0.0,) * len(COUNTERS)
    grown: dict[int, Values] = {}
    for queryid, values in after.counted.items():
        delta = tuple(now - then for now, then in zip(values, before.counted.get(queryid, nothing), strict=True))
        if any(delta) and min(delta) >= 0:
            grown[queryid] = delta
    return Growth(after.at, seconds, _top(grown, most), after.evictions - before.evictions)


def _top(grown: Mapping[int, Values], most: int) -> Mapping[int, Values]:
    """The longest ones by themselves, the others as one."""
    ranked = sorted(grown.keys() - {OTHERS}, key=lambda queryid: (-grown[queryid][1], queryid))
    rest = [grown[queryid] for queryid in ranked[most:]] + [grown[queryid] for queryid in grown.keys() & {OTHERS}]
    others = {OTHERS: tuple(map(sum, zip(*rest, strict=True)))} if rest else {}
    return {**{queryid: grown[queryid] for queryid in ranked[:most]}, **others}


def _unusable(found: Sequence[object] | None) -> str | None:
    if not found:
        return "statements: extension pg_stat_statements is not in this database"
    if not found[2]:
        return "statements: pg_stat_statements is not in shared_preload_libraries"
    if _version(str(found[1])) < _OLDEST:
        return f"statements: pg_stat_statements {found[1]} is too old: alter extension pg_stat_statements update"
    return None


def _why(error: psycopg.Error) -> str:
    if error.sqlstate == "42501":
        return "statements: this role may not read pg_stat_statements"
    return f"statements: the server does not say (SQLSTATE {error.sqlstate})"


def _of(home: str, name: LiteralString, version: str) -> sql.Composed:
    renamed = _version(version) >= _RENAMED
    return sql.SQL(query("statements", name)).format(
        home=sql.Identifier(home), read_time=sql.Identifier("shared_blk_read_time" if renamed else "blk_read_time")
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
