"""The pictures of what is measured every minute. Pure: what is known of an environment becomes charts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from wedsync_db.history import buckets
from wedsync_db.history.buckets import Drawn
from wedsync_db.history.daily import Known
from wedsync_db.monitor.thresholds import Threshold
from wedsync_db.report.daily.chart import Chart, Colour, Kind, Layer, Limit, marks_of
from wedsync_db.report.daily.words import day_time, no_data, width_text

_LEAST_BLOCKS = 10_000  # fewer say nothing about a ratio
_STATES: tuple[tuple[str, str, Colour], ...] = (
    ("active", "active", "c1"),
    ("idle_in_transaction", "idle in transaction", "c2"),
    ("idle_in_transaction_aborted", "idle in a failed transaction", "c4"),
    ("fastpath", "function call", "c5"),
    ("disabled", "not tracked", "c7"),
    ("hidden", "not shown to this role", "soft"),
    ("idle", "idle", "c6"),
)
_FREEZE_AGE = 200_000_000  # autovacuum_freeze_max_age as it comes
_STOP_AGE = 2**31 - 3_000_000


def of_samples(known: Known, limits: dict[str, Threshold]) -> Iterator[Chart]:
    """Connections, transactions, cache, waits, WAL, checkpoints, ids."""
    yield _connections(known, limits)
    yield _transactions(known)
    yield _cache_hit(known, limits)
    yield _waits(known, limits)
    yield _wal(known)
    yield _checkpoints(known)
    yield _ids(known, limits)


def begin_of(known: Known) -> datetime:
    """Where the axis begins: where measuring began, if that is later."""
    if known.fast.empty:
        return known.since
    first = known.fast.index[0].to_pydatetime()
    return first if first - known.since > timedelta(hours=1) else known.since


def _chart(known: Known, drawn: Drawn | None, layers: tuple[Layer, ...], **what: Any) -> Chart:
    """A chart with what all of them have: marks, gaps, and in words what is missing."""
    missing = buckets.gaps(known.fast, known.until) if not known.fast.empty else ()
    begin = begin_of(known)
    chart = Chart(
        since=begin,
        until=known.until,
        times=drawn.times if drawn else (),
        layers=tuple(layer for layer in layers if any(value is not None for value in layer.values)),
        marks=marks_of(known.deployments),
        gaps=missing,
        restarts=buckets.restarts(known.fast),
        **what,
    )
    notes = [*chart.notes]
    if chart.is_empty:
        return replace(chart, layers=(), notes=(*notes, "Nothing of it is known for this time."))
    if begin > known.since:
        notes.append(f"Nothing was measured before {day_time(begin)}.")
    notes += [f"{text}." for text in (no_data(missing),) if text]
    if drawn:
        notes.append(f"Each point is {width_text(drawn.width)}.")
    return replace(chart, notes=tuple(notes))


def _layer(drawn: Drawn, name: str, label: str, colour: Colour, kind: Kind = "line", look: str = "") -> Layer:
    return Layer(label, colour, drawn.values[name], kind, look)


def _connections(known: Known, limits: dict[str, Threshold]) -> Chart:
    names = [f"clients/{state}" for state, _, _ in _STATES]
    drawn = buckets.levels(known.fast, names, begin_of(known), known.until, "max")
    layers = tuple(_layer(drawn, f"clients/{state}", label, colour, "area") for state, label, colour in _STATES)
    shown = tuple(one for one in layers if one.label in ("active", "idle") or any(one.values))
    most = buckets.newest_of(known.fast, "connections_limit")
    lines = [Limit("limit for clients", most, "bad")] if most else []
    if most and "connections" in limits and limits["connections"].degraded:
        lines.append(Limit("degraded", most * limits["connections"].degraded))
    return _chart(
        known,
        drawn,
        shown,
        key="connections",
        title="Connections",
        says="Clients by what they do, the most at one time, against the places there are for them.",
        unit="count",
        limits=tuple(lines),
    )


def _transactions(known: Known) -> Chart:
    drawn = buckets.rates(known.fast, ("commits", "rollbacks"), begin_of(known), known.until)
    return _chart(
        known,
        drawn,
        (_layer(drawn, "commits", "committed", "c1"), _layer(drawn, "rollbacks", "rolled back", "c2", look="5 3")),
        key="transactions",
        title="Transactions",
        says="How many ended in a second.",
        unit="per_second",
    )


def _cache_hit(known: Known, limits: dict[str, Threshold]) -> Chart:
    drawn = buckets.share(known.fast, "blocks_hit", "blocks_read", begin_of(known), known.until, _LEAST_BLOCKS)
    least = limits["cache_hit"].degraded if "cache_hit" in limits else None
    return _chart(
        known,
        drawn,
        (_layer(drawn, "blocks_hit", "found in memory", "c3"),),
        key="cache-hit",
        title="Cache hits",
        says="Share of the blocks asked for that PostgreSQL had in memory. Quiet times say nothing, and are left out.",
        unit="ratio",
        limits=(Limit("degraded below", least),) if least else (),
    )


def _waits(known: Known, limits: dict[str, Threshold]) -> Chart:
    names = ("longest_lock_wait", "waiting_for_lock")
    drawn = buckets.levels(known.fast, names, begin_of(known), known.until, "max")
    most = max((value for value in drawn.values["waiting_for_lock"] if value is not None), default=None)
    limit = limits["blocked"].unhealthy if "blocked" in limits else None
    longest = max((value for value in drawn.values["longest_lock_wait"] if value is not None), default=0.0)
    return _chart(
        known,
        drawn,
        (_layer(drawn, "longest_lock_wait", "longest wait", "c2"),),
        key="waits",
        title="Blocked sessions",
        says="The longest wait for a lock, as seen each minute: shorter ones fall between two looks.",
        unit="seconds",
        limits=(Limit("unhealthy", limit, "bad"),) if limit and longest > limit / 4 else (),
        notes=() if most is None else (f"At most {most:.0f} waited at one time.",),
    )


def _wal(known: Known) -> Chart:
    drawn = buckets.rates(known.fast, ("wal",), begin_of(known), known.until)
    return _chart(
        known,
        drawn,
        (_layer(drawn, "wal", "written", "c1", "area"),),
        key="wal",
        title="WAL",
        says="How much write-ahead log was written in a second: what replicas and archives have to carry.",
        unit="bytes_per_second",
    )


def _checkpoints(known: Known) -> Chart:
    names = ("checkpoints_timed", "checkpoints_requested")
    drawn = buckets.rates(known.fast, names, begin_of(known), known.until)
    by_hour = {name: tuple(None if v is None else 3600 * v for v in drawn.values[name]) for name in names}
    drawn = replace(drawn, values=by_hour)
    return _chart(
        known,
        drawn,
        (
            _layer(drawn, names[0], "by time", "c1"),
            _layer(drawn, names[1], "requested, by WAL or by hand", "c2", look="5 3"),
        ),
        key="checkpoints",
        title="Checkpoints",
        says="How many in an hour. Many that are requested: max_wal_size is small for what is written.",
        unit="count",
    )


def _ids(known: Known, limits: dict[str, Threshold]) -> Chart:
    names = ("oldest_xid_age", "oldest_multixact_age")
    drawn = buckets.levels(known.fast, names, begin_of(known), known.until, "max")
    highest = max((v for name in names for v in drawn.values[name] if v is not None), default=0.0)
    wraparound = limits.get("wraparound")
    lines = [Limit("autovacuum freezes (default)", _FREEZE_AGE, "soft")]
    lines += [Limit("degraded", wraparound.degraded)] if wraparound and wraparound.degraded else []
    lines += [Limit("unhealthy", wraparound.unhealthy, "bad")] if wraparound and wraparound.unhealthy else []
    lines += [Limit("no more writes", _STOP_AGE, "bad")]
    above = next((line.value for line in lines if line.value > highest), _STOP_AGE)
    return _chart(
        known,
        drawn,
        (
            _layer(drawn, names[0], "transaction ids", "c1"),
            _layer(drawn, names[1], "multixacts", "c5", look="5 3"),
        ),
        key="ids",
        title="Age of transaction ids",
        says="Transactions since the oldest row was frozen, toward the age at which the server stops taking writes.",
        unit="transactions",
        limits=tuple(line for line in lines if line.value <= above),
    )
