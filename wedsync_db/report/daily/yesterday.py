"""What changed since yesterday. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from wedsync_db.history import buckets
from wedsync_db.history.daily import Known
from wedsync_db.report.daily.chart import Unit
from wedsync_db.report.daily.top import Compared
from wedsync_db.report.daily.words import figure
from wedsync_db.report.markdown import counted

_DAY = timedelta(days=1)


def compared(known: Known) -> Iterator[Compared]:
    """The figures of the last 24 hours beside those of the 24 hours before."""
    days = ((known.until - _DAY, known.until), (known.until - 2 * _DAY, known.until - _DAY))

    def both(label: str, unit: Unit, *values: float | None) -> Compared:
        today, before = (figure(value, unit) for value in values)
        return Compared(label, today, before)

    yield both("Transactions in a second", "count", *(_rate(known, "commits", *day) for day in days))
    yield both(
        "Rolled back", "ratio", *(buckets.share_between(known.fast, "rollbacks", "commits", *day) for day in days)
    )
    yield both(
        "Found in memory",
        "ratio",
        *(buckets.share_between(known.fast, "blocks_hit", "blocks_read", *day) for day in days),
    )
    for label, name, unit in _HIGHEST:
        yield both(label, unit, *(buckets.highest_between(known.fast, name, *day) for day in days))
    yield both("WAL in a second", "bytes", *(_rate(known, "wal", *day) for day in days))
    yield both("Deadlocks", "count", *(_grown(known, "deadlocks", *day) for day in days))
    yield both("Growth", "bytes", *(_growth(known, *day) for day in days))


_HIGHEST: tuple[tuple[str, str, Unit], ...] = (
    ("Most connections", "connections_used", "count"),
    ("Longest wait for a lock", "longest_lock_wait", "seconds"),
)


def _rate(known: Known, name: str, since: datetime, until: datetime) -> float | None:
    found = buckets.growth_between(known.fast, name, since, until)
    return found[0] / found[1] if found else None


def _grown(known: Known, name: str, since: datetime, until: datetime) -> float | None:
    found = buckets.growth_between(known.fast, name, since, until)
    return found[0] if found else None


def _growth(known: Known, since: datetime, until: datetime) -> float | None:
    one, other = _size_at(known, since), _size_at(known, until)
    return None if one is None or other is None else other - one


def _size_at(known: Known, at: datetime) -> float | None:
    earlier = known.sizes.dropna()
    earlier = earlier[earlier.index <= at]
    return buckets.number(earlier.iloc[-1]) if len(earlier) else None


def changes(known: Known) -> Iterator[str]:
    """What happened, a line each."""
    since = known.until - _DAY
    for number, one in enumerate(known.deployments, 1):
        if one.started_at > since:
            what = ", ".join(one.migrations) or "nothing by name"
            yield f"D{number} {one.outcome.replace('_', ' ')} at {one.started_at:%H:%M}: {what}"
    for at in (at for at in buckets.restarts(known.fast) if at > since):
        yield f"The counters began anew at {at:%H:%M}: a restart, a crash or a reset"
    told = [one for one in known.told if one.at > since]
    begun, over = (sum(one.what == what for one in told) for what in ("firing", "resolved"))
    if told:
        yield f"{counted(begun, 'alert')} began, {over} ended"
    new = [one for one in known.findings if one.still and one.first_seen > since]
    gone = [one for one in known.findings if not one.still]
    if new or gone:
        yield f"Schema: {counted(len(new), 'new finding')}, {len(gone)} gone"
