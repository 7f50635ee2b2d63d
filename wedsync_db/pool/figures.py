"""What a pool says about itself, as metrics for whoever collects them from the application. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from wedsync_db.monitor.metrics import Kind, Metric
from wedsync_db.pool.ledger import Usage
from wedsync_db.pool.tiers import Tier

_GAUGE: Kind = "gauge"
_COUNTER: Kind = "counter"
# psycopg_pool's own figures: a counter is not there before the first time, and is zero then. Its times are left out:
# they are sums of whole milliseconds, cut off, and a borrow takes less than one.
_THEIRS = (
    ("pool_size", _GAUGE, "connections", "pool_size"),
    ("pool_available", _GAUGE, "connections", "pool_available"),
    ("requests_waiting", _GAUGE, "requests", "pool_requests_waiting"),
    ("requests_num", _COUNTER, "requests", "pool_requests"),
    ("requests_queued", _COUNTER, "requests", "pool_requests_queued"),
    ("requests_errors", _COUNTER, "requests", "pool_requests_errors"),
    ("returns_bad", _COUNTER, "connections", "pool_returns_bad"),
    ("connections_num", _COUNTER, "connections", "pool_connections"),
    ("connections_errors", _COUNTER, "connections", "pool_connections_errors"),
    ("connections_lost", _COUNTER, "connections", "pool_connections_lost"),
)


def figures(tier: Tier, stats: Mapping[str, int], usage: Usage) -> Mapping[Metric, float | None]:
    """A pool's series, each with the label `pool`.

    `pool_used` is the share of the tier's connections that somebody has now; the rate of `pool_used_time` divided by
    `pool_limit` is the same over an interval, which no sample misses.
    """
    ours: tuple[tuple[str, Kind, str, float], ...] = (
        ("pool_limit", _GAUGE, "connections", tier.size),
        ("pool_borrowed", _GAUGE, "connections", usage.borrowed),
        ("pool_used", _GAUGE, "ratio", usage.borrowed / tier.size),
        ("pool_late", _GAUGE, "connections", usage.late),
        ("pool_leaks", _COUNTER, "connections", usage.leaks),
        ("pool_used_time", _COUNTER, "seconds", usage.used_seconds),
        ("pool_requests_wait", _COUNTER, "seconds", usage.waited_seconds),
    )
    theirs = ((name, kind, unit, float(stats.get(key, 0))) for key, kind, unit, name in _THEIRS)
    label = (("pool", tier.name),)
    return {Metric(name, kind, unit, label): float(value) for name, kind, unit, value in (*ours, *theirs)}
