"""Samples in the history store: written as arrays, by day; kept raw for days, by hour for months, by day for years.

Everything here works in a session of `open_history`, and raises psycopg's errors: whoever calls says the gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from wedsync_db.monitor.collect import table_of
from wedsync_db.monitor.metrics import Metric, Sample, Tier
from wedsync_db.postgres.queries import query
from wedsync_db.settings import HistorySettings

_FILE = "samples"
_DAYS_AHEAD = 3  # so that two nights without anybody lose nothing
_PREFIX = "metric_sample_"
_NEWEST_WITHIN = timedelta(days=2)  # what is older says nothing about now
Step = Literal["hour", "day"]


def store(connection: psycopg.Connection, environment: str, sample: Sample) -> None:
    """Keep a sample, in one transaction. The same one twice is kept once."""
    make_partitions(connection, sample.at)
    with connection.transaction():
        parts = _by_table(sample)
        known = _known_sets(connection, environment, sample.tier, list(parts))
        for subject, values in parts.items():
            place = (subject, tuple(values))
            set_id = known.get(place) or _set_of(connection, environment, sample.tier, subject, tuple(values))
            connection.execute(
                query(_FILE, "put"),
                {
                    "set_id": set_id,
                    "at": sample.at,
                    "epoch": sample.epoch,
                    "values": list(values.values()),
                    "problems": [] if subject else list(sample.problems),
                },
            )
        if sample.memory:
            given = {"environment": environment, "tier": sample.tier, "at": sample.at, "memory": sample.memory}
            connection.execute(query(_FILE, "remember"), given)


def memory(connection: psycopg.Connection, environment: str, tier: Tier) -> str:
    """What the newest sample of a tier said to the next one; nothing where there is none."""
    row = connection.execute(query(_FILE, "memory"), {"environment": environment, "tier": tier}).fetchone()
    return str(row[0]) if row else ""


def newest(connection: psycopg.Connection, environment: str, tier: Tier, now: datetime) -> Sample | None:
    """The newest values of a tier; tables that did nothing since have theirs from earlier. None: nothing in two days.

    Epoch and time are those of the newest row: subtract only what was measured with it.
    """
    rows = connection.execute(
        query(_FILE, "newest"), {"environment": environment, "tier": tier, "since": now - _NEWEST_WITHIN}
    ).fetchall()
    values: dict[Metric, float | None] = {}
    for names, kinds, units, labels, _, _, numbers, _ in rows:
        values |= dict(zip(metrics_of(names, kinds, units, labels), numbers, strict=True))
    if not rows:
        return None
    *_, at, epoch, _, problems = rows[-1]
    return Sample(at.astimezone(UTC), tier, epoch, values, tuple(problems))


def last_at(connection: psycopg.Connection, environment: str, now: datetime) -> Mapping[str, datetime]:
    """When each tier was last kept, within two days."""
    given = {"environment": environment, "since": now - _NEWEST_WITHIN}
    return {tier: at.astimezone(UTC) for tier, at in connection.execute(query(_FILE, "last_at"), given)}


def make_partitions(connection: psycopg.Connection, now: datetime) -> None:
    """Make the partitions of this day and the next three, where they are missing. Days are UTC's."""
    today = now.astimezone(UTC).date()
    wanted = [today + timedelta(days=ahead) for ahead in range(_DAYS_AHEAD + 1)]
    if set(wanted) <= set(partitions(connection)):
        return
    with connection.transaction():
        connection.execute(query(_FILE, "alone"))
        for day in sorted(set(wanted) - set(partitions(connection))):
            connection.execute(
                sql.SQL(
                    "create table history.{} partition of history.metric_sample for values from ({}) to ({})"
                ).format(_partition(day), sql.Literal(_midnight(day)), sql.Literal(_midnight(day + timedelta(days=1))))
            )


def partitions(connection: psycopg.Connection) -> tuple[date, ...]:
    """The days of which there is a partition, oldest first."""
    rows = connection.execute(query(_FILE, "partitions")).fetchall()
    return tuple(sorted(datetime.strptime(name, f"{_PREFIX}%Y%m%d").replace(tzinfo=UTC).date() for (name,) in rows))


def tidy(connection: psycopg.Connection, settings: HistorySettings, now: datetime) -> None:
    """Roll up by hour and day, then forget what is older than the settings keep. Doing it twice changes nothing."""
    with connection.transaction():
        connection.execute(query(_FILE, "alone"))
        for step, days in (("hour", settings.hourly_days), ("day", settings.daily_days)):
            row = connection.execute(query(_FILE, "last_rolled"), {"step": step}).fetchone()
            if row and row[0]:
                connection.execute(query(_FILE, "roll_up"), {"step": step, "since": row[0]})
            connection.execute(query(_FILE, "forget"), {"step": step, "before": now - timedelta(days=days)})
    oldest = (now - timedelta(days=settings.raw_days)).astimezone(UTC).date()
    for day in (day for day in partitions(connection) if day < oldest):
        with connection.transaction():
            connection.execute(query(_FILE, "alone"))
            connection.execute(sql.SQL("drop table if exists history.{}").format(_partition(day)))


def rows_between(
    connection: psycopg.Connection,
    environment: str,
    tier: Tier,
    since: datetime,
    until: datetime,
    *,
    step: Step | None = None,
    statistic: Literal["minimum", "average", "maximum", "last"] = "last",
) -> Iterator[tuple[datetime, tuple[Metric, ...], Sequence[float | None]]]:
    """Times, series and values, oldest first: raw, or by hour or day."""
    given = {"environment": environment, "tier": tier, "since": since, "until": until}
    name = "raw" if step is None else "rolled"
    sets: dict[int, tuple[Metric, ...]] = {}
    for set_id, names, kinds, units, labels, at, values in connection.execute(
        query(_FILE, name), {**given, "step": step, "statistic": statistic}
    ):
        metrics = sets.setdefault(set_id, metrics_of(names, kinds, units, labels))
        yield at.astimezone(UTC), metrics, values


def _by_table(sample: Sample) -> Mapping[str, dict[Metric, float | None]]:
    """A sample's values by the table they are about; a sample without any is kept as such: it was measured."""
    parts: dict[str, dict[Metric, float | None]] = {"": {}}
    for metric, value in sample.values.items():
        parts.setdefault(table_of(metric), {})[metric] = value
    return parts


def _known_sets(
    connection: psycopg.Connection, environment: str, tier: Tier, subjects: Sequence[str]
) -> Mapping[tuple[str, tuple[Metric, ...]], int]:
    given = {"environment": environment, "tier": tier, "subjects": subjects}
    rows = connection.execute(query(_FILE, "known_sets"), given).fetchall()
    return {(subject, metrics_of(*described)): set_id for set_id, subject, *described in rows}


def _set_of(
    connection: psycopg.Connection, environment: str, tier: Tier, subject: str, metrics: tuple[Metric, ...]
) -> int:
    given = {
        "environment": environment,
        "tier": tier,
        "subject": subject,
        "names": [metric.name for metric in metrics],
        "kinds": [metric.kind for metric in metrics],
        "units": [metric.unit for metric in metrics],
        "labels": Jsonb([list(map(list, metric.labels)) for metric in metrics]),
    }
    return int(connection.execute(query(_FILE, "set_of"), given).fetchall()[0][0])


def metrics_of(
    names: Sequence[str], kinds: Sequence[Any], units: Sequence[str], labels: Sequence[Sequence[Sequence[str]]]
) -> tuple[Metric, ...]:
    """The series of a set, in their order."""
    return tuple(
        Metric(name, kind, unit, tuple((key, value) for key, value in pairs))
        for name, kind, unit, pairs in zip(names, kinds, units, labels, strict=True)
    )


def _partition(day: date) -> sql.Identifier:
    return sql.Identifier(f"{_PREFIX}{day:%Y%m%d}")


def _midnight(day: date) -> str:
    return f"{day.isoformat()} 00:00:00+00"
