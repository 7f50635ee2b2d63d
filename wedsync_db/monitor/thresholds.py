"""The health checks as data: what is looked at, and from where on it is degraded or unhealthy.

The numbers come from the practice of others where there is one (the mixin of postgres_exporter, check_postgres, PgHero,
AWS's advice on wraparound), from judgement where there is none. An environment overrides them by name:
`[environments.production.health.connections]` with `degraded`, `unhealthy`, or `off = true`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threshold:
    """A check's limits, in its unit; None where there is no such state. `higher_is_worse` says which way.

    `for_seconds` is how long it has to last before an alert fires; health itself tells what is so now.
    """

    unit: str
    degraded: float | None
    unhealthy: float | None
    what: str
    higher_is_worse: bool = True
    for_seconds: int = 0


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_MILLION = 1_000_000

THRESHOLDS: Mapping[str, Threshold] = {
    "connections": Threshold("ratio", 0.80, 0.95, "connections in use, of those that clients may have", True, 600),
    "idle_in_transaction": Threshold("seconds", 60, 10 * _MINUTE, "longest session that is idle in a transaction"),
    "oldest_snapshot": Threshold(
        "seconds", 5 * _MINUTE, 30 * _MINUTE, "oldest snapshot, which keeps dead rows from going"
    ),
    "prepared_transaction": Threshold("seconds", 60, 30 * _MINUTE, "oldest prepared transaction"),
    "blocked": Threshold("seconds", 10, 60, "longest wait for a lock"),
    "replica_lag": Threshold("seconds", 30, 300, "how far a replica is behind"),
    "replication_slot": Threshold("seconds", 30 * _MINUTE, None, "how long a replication slot is unused"),
    "wraparound": Threshold("transactions", 500 * _MILLION, 1_000 * _MILLION, "age of the oldest row not frozen"),
    "cache_hit": Threshold("ratio", 0.95, None, "blocks found in memory", False, 15 * _MINUTE),
    "rollbacks": Threshold("ratio", 0.10, None, "transactions that were rolled back", True, 5 * _MINUTE),
    "deadlocks": Threshold("per minute", 0, 5, "deadlocks"),
    "archiver": Threshold("seconds", 0, 30 * _MINUTE, "how long archiving has been failing"),
    "checksum_failures": Threshold("failures", None, 0, "data pages with a wrong checksum"),
    "backup_age": Threshold("seconds", 26 * _HOUR, 50 * _HOUR, "age of the newest complete backup"),
    "drill_age": Threshold("seconds", 8 * _DAY, 31 * _DAY, "age of the newest backup that was restored and compared"),
    "sequence": Threshold("ratio", 0.70, 0.90, "how much of a key's range is used up"),
    "table_bloat": Threshold("ratio", 0.50, None, "dead space in a table of more than 1 GiB"),
    "autovacuum": Threshold("ratio", 2.0, None, "dead rows, as a multiple of what starts autovacuum", True, _HOUR),
    "stale_statistics": Threshold("tables", 0, None, "tables whose statistics are missing or old"),
    "invalid_index": Threshold("indexes", 0, None, "indexes that are not valid and that nobody is building"),
    "disk_free": Threshold("ratio", None, 0.10, "free disk space of the server", False),
    "pooler_wait": Threshold("seconds", 1, 10, "longest wait of a client for the pooler", True, 2 * _MINUTE),
    "pooler_used": Threshold("ratio", 0.80, None, "the pooler's connections at work, of those it may have", True, 600),
    "pooler_clients": Threshold("ratio", 0.80, 0.95, "clients of the pooler, of those it takes", True, 600),
}


def limits(overrides: Mapping[str, Mapping[str, float | bool]]) -> Mapping[str, Threshold]:
    """The checks with an environment's overrides; a check that is switched off is not in it."""
    chosen = {}
    for name, threshold in THRESHOLDS.items():
        given = overrides.get(name, {})
        if given.get("off"):
            continue
        chosen[name] = Threshold(
            threshold.unit,
            _limit(given, "degraded", threshold.degraded),
            _limit(given, "unhealthy", threshold.unhealthy),
            threshold.what,
            threshold.higher_is_worse,
            int(given.get("for_seconds", threshold.for_seconds)),
        )
    return chosen


def _limit(given: Mapping[str, float | bool], key: str, usual: float | None) -> float | None:
    return float(given[key]) if key in given else usual
