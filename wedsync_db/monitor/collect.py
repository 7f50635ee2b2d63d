"""Measure a server: one sample of a tier, each group of series in a statement of its own.

A group that is denied, or takes too long, is None and a problem in words; the others are measured all the same. Nothing
that is asked waits longer than 100 ms for a lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from wedsync_db.monitor.metrics import Metric, Sample, Tier
from wedsync_db.monitor.series import GROUPS, Group
from wedsync_db.monitor.statements import read_statements, totals
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import QUICK, Address, session

_LOCK_TIMEOUT_MS = 100
_STATEMENT_TIMEOUT_MS = {"nightly": 30_000}
_USUAL_TIMEOUT_MS = 3_000
_NOTHING = "{} {}"  # two empty arrays
_VALUES = dict[Metric, float | None]


def collect(address: Address, tier: Tier, *, clock: Callable[[], datetime], before: str = "") -> Sample:
    """One sample of a tier.

    Args:
        address: The database; counters of the whole server come along.
        tier: fast (whatever the number of tables), tables (their counters), sizes, or nightly (what takes seconds).
        clock: The time of the sample, in UTC.
        before: The `memory` of the sample before: a table that did nothing since is left out, and of more than 500
            that did something those that did least, for the next time.

    Raises:
        Unreachable: there is no session with the server.
    """
    timeout = _STATEMENT_TIMEOUT_MS.get(tier, _USUAL_TIMEOUT_MS)
    with session(
        address, "collect", lock_timeout_ms=_LOCK_TIMEOUT_MS, statement_timeout_ms=timeout, settings=QUICK
    ) as connection:
        return measured(connection, tier, clock=clock, before=before)


def measured(connection: psycopg.Connection, tier: Tier, *, clock: Callable[[], datetime], before: str = "") -> Sample:
    """`collect` in a session that is there. A session that is lost in the middle leaves the rest unknown."""
    at, problems, values = clock(), list[str](), _VALUES()
    epoch = _epoch(connection, at, problems)
    memory = ""
    for group in GROUPS[tier]:
        rows = _rows(connection, group, before or _NOTHING, problems)
        if group.remembers and rows:
            memory = str(rows.pop()[0])
        values |= _unknown(group) if rows is None else dict(_read(group, rows))
    if tier == "tables":
        found = read_statements(connection, at)
        values |= totals(found)
        problems += () if found.is_absent else found.problems
    return Sample(at, tier, epoch, values, tuple(problems), memory)


def _rows(
    connection: psycopg.Connection, group: Group, before: str, problems: list[str]
) -> list[tuple[Any, ...]] | None:
    """A group's rows; None where the server does not say. Exact sizes that wait are asked again as estimates."""
    name = group.query(connection.info.server_version // 10_000)
    for exactly in (True, False):
        try:
            return connection.execute(_text(name), {"before": before, "exactly": exactly}).fetchall()
        except psycopg.Error as error:
            waited = isinstance(error, psycopg.errors.LockNotAvailable)
            if waited and exactly and group.name == "table_sizes":
                continue  # somebody came between
            if not (group.optional and isinstance(error, psycopg.errors.UndefinedTable)):
                problems.append(_problem(group, error))
            return None
    raise AssertionError  # the second time returns


def _unknown(group: Group) -> _VALUES:
    return {} if group.label else dict.fromkeys(_metrics(group), None)


def _text(name: str) -> LiteralString:
    """The query; what is said of unused indexes in a night's report is what is summed up here."""
    text = query("collect", name)
    return text.replace("{unused}", query("maintenance", name)) if name == "unused_indexes" else text


def _read(group: Group, rows: list[tuple[Any, ...]]) -> Iterator[tuple[Metric, float | None]]:
    for row in rows:
        labels = ((group.label, str(row[0])),) if group.label else ()
        yield from zip(_metrics(group, labels), row[len(labels) :], strict=True)


def _metrics(group: Group, labels: tuple[tuple[str, str], ...] = ()) -> tuple[Metric, ...]:
    return tuple(Metric(name, kind, unit, labels) for name, kind, unit in group.series)


def _problem(group: Group, error: psycopg.Error) -> str:
    reason = {
        "42501": "this role may not ask",
        "55P03": "it waited for a lock",
        "57014": "it took too long",
    }.get(error.sqlstate or "", f"the server does not say (SQLSTATE {error.sqlstate})")
    return f"{group.name}: {reason}"


def _epoch(connection: psycopg.Connection, at: datetime, problems: list[str]) -> str:
    """That of the health checks. One that cannot be read is like no other, so that nothing is subtracted."""
    try:
        return str(connection.execute(query("health", "counters"), {}).fetchall()[0][0])
    except psycopg.Error as error:
        problems.append(f"epoch: the server does not say when its counters began (SQLSTATE {error.sqlstate})")
        return hashlib.md5(f"unknown {at.isoformat()}".encode(), usedforsecurity=False).hexdigest()


def table_of(metric: Metric) -> str:
    """The table that a series is about; none for those of the server."""
    return next((value for name, value in metric.labels if name == "table"), "")
