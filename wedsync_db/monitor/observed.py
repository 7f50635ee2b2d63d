"""What the health checks observed, as series: the worst of each check, and the state of all of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from wedsync_db.monitor.alerts import REACHABLE
from wedsync_db.monitor.metrics import Metric
from wedsync_db.monitor.states import EXIT_CODES, Checked, State
from wedsync_db.monitor.thresholds import THRESHOLDS

UP = Metric("up", "gauge", "servers")
STATE = "check_state"  # 0 healthy, 1 degraded, 2 unhealthy, 3 unknown: as monitoring plugins say it
# checks whose observation no other series has; times and not ages for what has a time
_SERIES: Mapping[str, Metric] = {
    "oldest_snapshot": Metric("oldest_snapshot", "gauge", "seconds"),
    "prepared_transaction": Metric("oldest_prepared_transaction", "gauge", "seconds"),
    "replication_slot": Metric("longest_slot_unused", "gauge", "seconds"),
    "archiver": Metric("archiving_behind", "gauge", "seconds"),
    "sequence": Metric("fullest_key_used", "gauge", "ratio"),
    "table_bloat": Metric("worst_table_bloat", "gauge", "ratio"),
    "autovacuum": Metric("worst_vacuum_debt", "gauge", "ratio"),
    "stale_statistics": Metric("tables_without_statistics", "gauge", "tables"),
    "invalid_index": Metric("invalid_indexes", "gauge", "indexes"),
    "disk_free": Metric("disk_free", "gauge", "ratio"),
}
_TIMES: Mapping[str, Metric] = {
    "backup_age": Metric("last_backup_timestamp", "gauge", "seconds"),
    "drill_age": Metric("last_drill_timestamp", "gauge", "seconds"),
}
_ADDED_UP = frozenset({"invalid_index"})


def observed(found: Iterable[Checked], at: datetime) -> Mapping[Metric, float | None]:
    """The series of one look at health. A check that could not be made has a state, 3, and no value."""
    by_check: dict[str, list[Checked]] = {}
    for one in found:
        by_check.setdefault(one.name, []).append(one)
    values: dict[Metric, float | None] = {
        Metric(STATE, "gauge", "state", (("check", name),)): float(EXIT_CODES[_state(several)])
        for name, several in by_check.items()
    }
    for name, several in by_check.items():
        if name in _SERIES:
            values[_SERIES[name]] = _worst_known(name, several)
        elif name in _TIMES:
            age = several[0].observed
            values[_TIMES[name]] = None if age is None else float(round(at.timestamp() - age))
        elif name == REACHABLE:
            values[UP] = 0.0 if several[0].state is State.UNHEALTHY else 1.0
    # in the same order whatever is worst now: the history store keeps values in the order of their names
    return dict(sorted(values.items()))


def all_series() -> tuple[Metric, ...]:
    """Every series that `observed` may give, `check_state` once."""
    return (UP, Metric(STATE, "gauge", "state"), *_SERIES.values(), *_TIMES.values())


def _worst_known(name: str, several: Sequence[Checked]) -> float | None:
    """The worst observation; None where it is a good one while others could not be made: they may be bad."""
    known = [one.observed for one in several if one.observed is not None]
    states = {one.state for one in several}
    if not known or (State.UNKNOWN in states and not states & {State.DEGRADED, State.UNHEALTHY}):
        return None
    if name in _ADDED_UP:
        return sum(known)
    return max(known) if THRESHOLDS[name].higher_is_worse else min(known)


def _state(several: Iterable[Checked]) -> State:
    """The state of all subjects of a check: one that is unknown is worse than one that is degraded."""
    order = (State.HEALTHY, State.DEGRADED, State.UNKNOWN, State.UNHEALTHY)
    return max((one.state for one in several), key=order.index)
