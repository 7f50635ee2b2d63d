"""When a server's disk will be full, by how it filled in the days that are remembered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg

from wedsync_db.history.samples import rows_between
from wedsync_db.monitor.states import Checked, State

CHECK = "disk_free"  # the name of the check and of its series
_DAYS = 30
_DEGRADED_DAYS, _UNHEALTHY_DAYS = 7.0, 1.0


def days_until_full(connection: psycopg.Connection, environment: str, now: datetime) -> tuple[float, float] | None:
    """Days until nothing is free, at the earliest (90 %) and as is likely; None with less than a week of days."""
    from wedsync_db.history.forecast import growth

    ages, used = [], []
    since = now - timedelta(days=_DAYS)
    for at, metrics, values in rows_between(
        connection, environment, "fast", since, now, step="day", statistic="minimum"
    ):
        for metric, value in zip(metrics, values, strict=True):
            if metric.name == CHECK and value is not None:
                ages.append((at - since) / timedelta(days=1))
                used.append(1 - value)
    grown = growth(ages, used)
    return grown.days_until(1.0) if grown else None


def with_forecast(found: Iterable[Checked], days: tuple[float, float] | None) -> tuple[Checked, ...]:
    """The same with the disk as bad as it soon will be: degraded in its last week, unhealthy on its last day. Pure."""
    if days is None or days[1] >= _DEGRADED_DAYS:
        return tuple(found)
    return tuple(_forecast(one, *days) if one.name == CHECK else one for one in found)


def _forecast(one: Checked, earliest: float, likely: float) -> Checked:
    said = f"as it has filled up so far it is full in about {likely:.1f} days, {earliest:.1f} at the earliest"
    worse = State.UNHEALTHY if likely < _UNHEALTHY_DAYS else State.DEGRADED
    state = one.state if one.state is State.UNHEALTHY else worse
    return replace(one, state=state, evidence=(*one.evidence, said))
