"""The few figures at the top. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from wedsync_db.history import buckets
from wedsync_db.history.daily import Known
from wedsync_db.monitor.thresholds import Threshold
from wedsync_db.report.daily.by_day import newest
from wedsync_db.report.daily.top import Fact, Now
from wedsync_db.report.daily.words import NOT_KNOWN, age, counted_short, figure, percent
from wedsync_db.report.markdown import size

_DAY = timedelta(days=1)
_LEAST_SECONDS = 12 * 3600


def facts(known: Known, now: Now, limits: Mapping[str, Threshold]) -> Iterator[Fact]:
    """What people ask for first."""
    sizes = known.sizes.dropna()
    grows = f"{figure(known.growth.per_day, 'bytes')} a day" if known.growth else "no forecast yet"
    yield Fact("Size", size(float(sizes.iloc[-1])) if len(sizes) else NOT_KNOWN, grows)
    yield _connections_fact(known)
    yield _ids_fact(known, limits)
    yield from _key_fact(known, now)
    for label, states, more in (
        ("Newest backup", ("complete", "verified", "restored"), "old"),
        ("Proven backup", ("restored",), "old, restored and compared"),
    ):
        at = newest(known.backups, states)
        yield Fact(label, age(known.until - at) if at else "none", more if at else "known", None if at else "bad")
    night = known.nights[-1] if known.nights else None
    yield Fact(
        "Last night", night.outcome if night else NOT_KNOWN, tone="bad" if night and night.outcome == "failed" else None
    )


def _key_fact(known: Known, now: Now) -> Iterator[Fact]:
    """As it was looked at just now, else as it was last night."""
    seen = next((one for one in now.found or () if one.name == "sequence" and one.observed is not None), None)
    if seen and seen.observed is not None:
        yield Fact("Fullest key", percent(seen.observed), seen.subject or "of its range")
    elif known.keys:
        yield Fact("Fullest key", percent(known.keys[0].used), known.keys[0].name)


def _connections_fact(known: Known) -> Fact:
    most = buckets.highest_between(known.fast, "connections_used", known.until - _DAY, known.until)
    limit = buckets.newest_of(known.fast, "connections_limit")
    more = f"of {limit:.0f}, the most in 24 hours" if limit else "the most in 24 hours"
    return Fact("Connections", NOT_KNOWN if most is None else f"{most:.0f}", more)


def _ids_fact(known: Known, limits: Mapping[str, Threshold]) -> Fact:
    current, daily = buckets.newest_of(known.fast, "oldest_xid_age"), ids_a_day(known)
    limit = limits["wraparound"].degraded if "wraparound" in limits else None
    if current is None:
        return Fact("Transaction ids", NOT_KNOWN)
    more = f"{counted_short(daily)} a day" if daily is not None else ""
    share = f"{percent(current / limit)} of {counted_short(limit)}" if limit else ""
    return Fact("Transaction ids", counted_short(current), ", ".join(part for part in (share, more) if part))


def ids_a_day(known: Known) -> float | None:
    """How many transaction ids a day are used, by the last three; freezing in between left aside.

    None where less than half a day is known: a busy hour says nothing about a day.
    """
    risen = buckets.risen_between(known.fast, "oldest_xid_age", known.until - 3 * _DAY, known.until)
    if risen is None or risen[1] < _LEAST_SECONDS:
        return None
    return risen[0] * _DAY.total_seconds() / risen[1]
