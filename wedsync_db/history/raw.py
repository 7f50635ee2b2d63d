"""Samples as they were taken, with the epoch of each: what rates are computed from."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import pandas as pd
import psycopg
from psycopg import sql

from wedsync_db.history.samples import metrics_of
from wedsync_db.monitor.metrics import Metric, Tier
from wedsync_db.postgres.queries import query

EPOCH = "epoch"


def raw_frame(
    connection: psycopg.Connection,
    environment: str,
    tier: Tier,
    names: Collection[str],
    since: datetime,
    until: datetime,
) -> pd.DataFrame:
    """Series of these names as columns, and `epoch`, by time in UTC. What is unknown is NaN; nothing is filled in.

    Args:
        connection: A session with the history store.
        environment: Whose samples.
        tier: Of which kind; series of one table are not among them.
        names: Of the metrics, without prefix and unit: `commits`.
        since: From this time on.
        until: Before this time.
    """
    given = {"environment": environment, "tier": tier, "since": since, "until": until}
    parts = [
        _of_set(connection, set_id, _places(described, names), since, until)
        for set_id, *described in connection.execute(query("daily_report", "sets"), given).fetchall()
    ]
    index = pd.DatetimeIndex([], tz="UTC", name="at")
    found = pd.concat(parts) if parts else pd.DataFrame({EPOCH: pd.Series(dtype="object")}, index=index)
    return found[~found.index.duplicated(keep="last")].sort_index()


def _places(described: list[object], names: Collection[str]) -> dict[str, int]:
    """The columns that are asked for, and where each stands in the arrays of its set; SQL counts from 1."""
    metrics = metrics_of(*described)  # type: ignore[arg-type]
    return {series(metric): place for place, metric in enumerate(metrics, 1) if metric.name in names}


def series(metric: Metric) -> str:
    """The column of a series: `commits`, `connections_used_ratio`, `clients/idle`."""
    name = f"{metric.name}_ratio" if metric.unit == "ratio" else metric.name
    return "/".join([name, *(value for _, value in metric.labels)])


def _of_set(
    connection: psycopg.Connection, set_id: int, places: dict[str, int], since: datetime, until: datetime
) -> pd.DataFrame:
    values = [sql.SQL('m."values"[{}]').format(sql.Literal(place)) for place in places.values()]
    asked = sql.SQL(
        "select {} from history.metric_sample as m where m.set_id = %s and m.at >= %s and m.at < %s order by m.at"
    ).format(sql.SQL(", ").join([sql.SQL("m.at"), sql.SQL("m.epoch"), *values]))
    rows = connection.execute(asked, [set_id, since, until]).fetchall()
    index = pd.DatetimeIndex([row[0].astimezone(UTC) for row in rows], tz="UTC", name="at")
    found = pd.DataFrame([row[2:] for row in rows], index=index, columns=list(places), dtype="float64")
    found[EPOCH] = pd.Series([row[1] for row in rows], index=index, dtype="object")
    return found
