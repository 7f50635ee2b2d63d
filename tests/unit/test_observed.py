"""What health observed, as series: the worst of each check, and never a good value for what is not known."""

from __future__ import annotations

from datetime import UTC, datetime

from wedsync_db.monitor.metrics import Metric
from wedsync_db.monitor.observed import all_series, observed
from wedsync_db.monitor.states import Checked, State

NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)


def checked(name, state, value, subject=""):
    return Checked(name, state, value, "", (), subject)


def series(*found):
    return {
        (metric.name, *(value for _, value in metric.labels)): value for metric, value in observed(found, NOW).items()
    }


def test_the_worst_of_each_check():
    found = series(
        checked("reachable", State.HEALTHY, None),
        checked("sequence", State.DEGRADED, 0.75, "a"),
        checked("sequence", State.UNHEALTHY, 0.95, "b"),
        checked("disk_free", State.UNHEALTHY, 0.05),
        checked("invalid_index", State.DEGRADED, 1.0, "a"),
        checked("invalid_index", State.DEGRADED, 1.0, "b"),
        checked("backup_age", State.HEALTHY, 3600.0),
    )
    assert found == {
        ("up",): 1.0,
        ("check_state", "reachable"): 0.0,
        ("check_state", "sequence"): 2.0,
        ("fullest_key_used",): 0.95,
        ("check_state", "disk_free"): 2.0,
        ("disk_free",): 0.05,
        ("check_state", "invalid_index"): 1.0,
        ("invalid_indexes",): 2.0,
        ("check_state", "backup_age"): 0.0,
        ("last_backup_timestamp",): NOW.timestamp() - 3600,
    }


def test_what_is_unknown_has_no_value_unless_what_is_known_is_bad():
    unknown = checked("sequence", State.UNKNOWN, None, "unreadable")
    assert series(checked("sequence", State.HEALTHY, 0.1, "a"), unknown) == {
        ("check_state", "sequence"): 3.0,
        ("fullest_key_used",): None,
    }
    assert series(checked("sequence", State.DEGRADED, 0.8, "a"), unknown) == {
        ("check_state", "sequence"): 3.0,
        ("fullest_key_used",): 0.8,
    }
    assert series(checked("sequence", State.UNHEALTHY, 0.95, "a"), unknown)["check_state", "sequence"] == 2.0
    assert series(checked("drill_age", State.UNKNOWN, None)) == {
        ("check_state", "drill_age"): 3.0,
        ("last_drill_timestamp",): None,
    }


def test_a_server_that_is_gone_is_not_up():
    assert series(checked("reachable", State.UNHEALTHY, None))["up",] == 0.0


def test_the_names_are_no_others():
    assert len(set(all_series())) == len(all_series())
    assert Metric("up", "gauge", "servers") in all_series()
