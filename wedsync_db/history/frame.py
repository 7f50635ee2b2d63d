"""What was measured as a table to compute and draw with, and how the database grows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd
import psycopg

from wedsync_db.history.forecast import Growth, growth
from wedsync_db.history.samples import Step, rows_between
from wedsync_db.monitor.metrics import Metric, Tier
from wedsync_db.monitor.openmetrics import full_name

_EVERY: Mapping[str, timedelta] = {
    "fast": timedelta(minutes=1),
    "tables": timedelta(minutes=5),
    "sizes": timedelta(hours=1),
    "nightly": timedelta(days=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_GAP = 2.5  # intervals: one sample that came late is no gap
_SIZE = "pgops_database_size_bytes"


def frame(
    connection: psycopg.Connection,
    environment: str,
    tier: Tier,
    since: datetime,
    until: datetime,
    *,
    step: Step | None = None,
    statistic: Literal["minimum", "average", "maximum", "last"] = "last",
) -> pd.DataFrame:
    """Samples as one column for each series (`pgops_commits`, `pgops_clients{state="idle"}`), by time in UTC.

    What is unknown is NaN and is never filled. Where nothing was measured for more than two intervals there is a row of
    NaN, so that no line is drawn across.

    Args:
        connection: A session with the history store.
        environment: Whose samples.
        tier: Of which kind.
        since: From this time on.
        until: Before this time.
        step: By hour or day; raw without it.
        statistic: Which of the four of an hour or day.
    """
    rows: dict[datetime, dict[str, float]] = {}
    for at, metrics, values in rows_between(
        connection, environment, tier, since, until, step=step, statistic=statistic
    ):
        row = rows.setdefault(at, {})
        row |= {column(m): np.nan if v is None else v for m, v in zip(metrics, values, strict=True)}
    times = sorted(rows)
    index = pd.DatetimeIndex(times, tz="UTC", name="at")
    return _with_gaps(pd.DataFrame([rows[at] for at in times], index=index, dtype="float64"), _EVERY[step or tier])


def database_growth(connection: psycopg.Connection, environment: str, now: datetime, days: int = 90) -> Growth | None:
    """How many bytes a day the database grows; None with less than a week of days."""
    sizes = frame(
        connection, environment, "sizes", now - timedelta(days=days), now, step="day", statistic="last"
    )  # fmt: skip
    if _SIZE not in sizes:
        return None
    known = sizes[_SIZE].dropna()
    if known.empty:
        return None
    ages = (known.index - known.index[0]) / pd.Timedelta(days=1)
    return growth(list(map(float, ages)), [float(value) for value in known])


def column(metric: Metric) -> str:
    """The column of a series."""
    inner = ",".join(f'{name}="{value}"' for name, value in metric.labels)
    return f"{full_name(metric)}{{{inner}}}" if inner else full_name(metric)


def _with_gaps(found: pd.DataFrame, every: timedelta) -> pd.DataFrame:
    """The same with a row of NaN in the middle of each interval that is too long."""
    if len(found) < 2:  # noqa: PLR2004 a pair has an interval
        return found
    times = pd.DatetimeIndex(found.index)
    apart = times[1:] - times[:-1]
    missing = times[:-1][apart > pd.Timedelta(_GAP * every)] + pd.Timedelta(every)
    return found.reindex(times.union(missing)).rename_axis("at")
