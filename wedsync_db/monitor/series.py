"""What is measured, as data: the groups of series, each read by the query of its name in sql/collect.sql."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wedsync_db.monitor.metrics import Kind, Tier

_COUNTER: Kind = "counter"
_GAUGE: Kind = "gauge"


@dataclass(frozen=True, slots=True)
class Group:
    """Series that one statement reads. `label` names its first column where there is a row each, by state or table.

    `until` is another query that is right up to a major, for what moved. `optional`: it reads a table that not every
    database has; without it the series are unknown, and that is no problem. `remembers`: its last row is no
    series, but what the next look has to be told.
    """

    name: str
    series: tuple[tuple[str, Kind, str], ...]
    label: str = ""
    until: tuple[int, str] | None = None
    optional: bool = False
    remembers: bool = False

    def query(self, major: int) -> str:
        """The name of the query for a server of this major version."""
        return self.until[1] if self.until and major <= self.until[0] else self.name


def _counters(*named: tuple[str, str]) -> tuple[tuple[str, Kind, str], ...]:
    return tuple((name, _COUNTER, unit) for name, unit in named)


def _gauges(*named: tuple[str, str]) -> tuple[tuple[str, Kind, str], ...]:
    return tuple((name, _GAUGE, unit) for name, unit in named)


_FAST = (
    Group("states", _gauges(("clients", "clients")), "state"),
    Group(
        "sessions",
        _gauges(
            ("connections_used", "connections"),
            ("connections_limit", "connections"),
            ("connections_used", "ratio"),
            ("oldest_transaction", "seconds"),
            ("oldest_query", "seconds"),
            ("oldest_idle_in_transaction", "seconds"),
        ),
    ),
    Group(
        "database",
        _counters(
            ("commits", "transactions"),
            ("rollbacks", "transactions"),
            ("blocks_hit", "blocks"),
            ("blocks_read", "blocks"),
            ("rows_returned", "rows"),
            ("rows_fetched", "rows"),
            ("rows_inserted", "rows"),
            ("rows_updated", "rows"),
            ("rows_deleted", "rows"),
            ("conflicts", "queries"),
            ("temporary_files", "files"),
            ("temporary", "bytes"),
            ("deadlocks", "deadlocks"),
            ("checksum_failures", "pages"),
            ("block_read_time", "seconds"),
            ("block_write_time", "seconds"),
            ("session_time", "seconds"),
            ("active_time", "seconds"),
            ("idle_in_transaction_time", "seconds"),
            ("sessions", "sessions"),
            ("sessions_abandoned", "sessions"),
            ("sessions_fatal", "sessions"),
            ("sessions_killed", "sessions"),
        ),
    ),
    Group(
        "wal",
        _counters(
            ("wal_records", "records"),
            ("wal_full_page_images", "pages"),
            ("wal", "bytes"),
            ("wal_buffers_full", "times"),
        ),
    ),
    Group(
        "checkpoints",
        _counters(
            ("checkpoints_timed", "checkpoints"),
            ("checkpoints_requested", "checkpoints"),
            ("checkpoint_write_time", "seconds"),
            ("checkpoint_sync_time", "seconds"),
            ("checkpoint_buffers", "blocks"),
        ),
        until=(16, "checkpoints_to_16"),
    ),
    Group(
        "bgwriter",
        _counters(("bgwriter_buffers", "blocks"), ("bgwriter_stopped_early", "times"), ("buffers_allocated", "blocks")),
    ),
    Group("locks", _gauges(("waiting_for_lock", "sessions"), ("longest_lock_wait", "seconds"))),
    Group("wraparound", _gauges(("oldest_xid_age", "transactions"), ("oldest_multixact_age", "transactions"))),
    Group(
        "replication",
        _gauges(
            ("in_recovery", "servers"),
            ("replicas", "servers"),
            ("replica_lag", "seconds"),
            ("receiver_heard_timestamp", "seconds"),
            ("slots_inactive", "slots"),
            ("slot_wal_kept", "bytes"),
        ),
    ),
    Group(
        "archiver",
        (
            *_counters(("archived", "segments"), ("archive_failures", "segments")),
            *_gauges(("last_archived_timestamp", "seconds"), ("last_archive_failure_timestamp", "seconds")),
        ),
    ),
    Group("deployment", _gauges(("deployment_timestamp", "seconds")), optional=True),
)
_TABLES = (
    Group(
        "tables",
        (
            *_counters(
                ("table_sequential_scans", "scans"),
                ("table_rows_read_sequentially", "rows"),
                ("table_index_scans", "scans"),
                ("table_rows_fetched_by_index", "rows"),
                ("table_rows_inserted", "rows"),
                ("table_rows_updated", "rows"),
                ("table_rows_deleted", "rows"),
                ("table_rows_updated_in_place", "rows"),
            ),
            *_gauges(("table_live_rows", "rows"), ("table_dead_rows", "rows")),
            *_counters(("table_vacuums", "times"), ("table_analyzes", "times")),
        ),
        "table",
        remembers=True,
    ),
)
_SIZES = (
    Group("database_size", _gauges(("database_size", "bytes"))),
    Group("table_sizes", _gauges(("table_size", "bytes"), ("table_size_estimate", "bytes")), "table"),
)
_NIGHTLY = (
    Group("keys", _gauges(("key_used", "ratio")), "key"),
    Group("bloat", _gauges(("table_bloat", "bytes"), ("table_bloat", "ratio")), "table"),
    Group("unused_indexes", _gauges(("unused_indexes", "bytes"))),
    Group("duplicate_indexes", _gauges(("duplicate_indexes", "bytes"))),
)
GROUPS: Mapping[Tier, tuple[Group, ...]] = {"fast": _FAST, "tables": _TABLES, "sizes": _SIZES, "nightly": _NIGHTLY}
