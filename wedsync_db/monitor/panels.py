"""What the Grafana dashboard shows: its rows and panels, each with its queries, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: `queries` are pairs of a legend and PromQL, in which `$` after a name is the environment's selector.

    `unit` is Grafana's; `check` names the health check whose limits are drawn. `width` is of 24 columns.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    why: str
    check: str = ""
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False


def _rate(name: str) -> str:
    return f"rate({name}$[$__rate_interval])"


def _share(part: str, rest: str) -> str:
    return f"{_rate(part)} / ({_rate(part)} + {_rate(rest)})"


_NOW = (
    Panel("Server", "none", (("up", "pgops_up$"),), "1 while a session can be opened.", kind="stat", width=4),
    Panel(
        "Checks not healthy", "none", (("checks", "count(pgops_check_state$ > 0) or vector(0)"),),
        "Degraded, unhealthy or unknown.", kind="stat", width=4,
    ),
    Panel(
        "Backup", "s", (("age", "time() - pgops_last_backup_timestamp_seconds$"),),
        "Age of the newest complete backup.", "backup_age", "stat", 4,
    ),
    Panel(
        "Restored backup", "s", (("age", "time() - pgops_last_drill_timestamp_seconds$"),),
        "Age of the newest backup that was restored and compared.", "drill_age", "stat", 4,
    ),
    Panel(
        "Not collected", "none", (("{{tier}}", "pgops_collect_problems$"),),
        "What could not be measured: `wedsync-db metrics --json` says what.", kind="stat", width=8,
    ),
    Panel(
        "Health", "none", (("{{check}}", "pgops_check_state$"),), "Each check of `wedsync-db health`.",
        kind="state-timeline", width=24,
    ),
)  # fmt: skip
_SESSIONS = (
    Panel(
        "Connections by state", "none",
        (("{{state}}", "pgops_clients$"), ("places for clients", "pgops_connections_limit$")),
        "Clients, and how many there may be.", stacked=True,
    ),
    Panel(
        "Connections in use", "percentunit", (("in use", "pgops_connections_used_ratio$"),),
        "Of the places that clients may have.", "connections",
    ),
    Panel(
        "Longest at it", "s",
        (
            ("transaction", "pgops_oldest_transaction_seconds$"),
            ("query", "pgops_oldest_query_seconds$"),
            ("idle in a transaction", "pgops_oldest_idle_in_transaction_seconds$"),
            ("snapshot", "pgops_oldest_snapshot_seconds$"),
            ("prepared transaction", "pgops_oldest_prepared_transaction_seconds$"),
        ),
        "Old snapshots keep dead rows from going.", "oldest_snapshot",
    ),
    Panel(
        "Who waits for a lock", "none", (("sessions", "pgops_waiting_for_lock$"),),
        "`wedsync-db health` draws who waits for whom.",
    ),
    Panel(
        "Longest wait for a lock", "s", (("wait", "pgops_longest_lock_wait_seconds$"),), "The root is the one to ask.",
        "blocked",
    ),
    Panel(
        "Deadlocks a minute", "none", (("deadlocks", "60 * rate(pgops_deadlocks_total$[$__rate_interval])"),),
        "The server's log has both statements.", "deadlocks",
    ),
)  # fmt: skip
_WORK = (
    Panel(
        "Transactions", "ops",
        (("committed", _rate("pgops_commits_total")), ("rolled back", _rate("pgops_rollbacks_total"))),
        "Per second.",
    ),
    Panel(
        "Rolled back", "percentunit",
        (("share", _share("pgops_rollbacks_total", "pgops_commits_total")),),
        "Of all transactions.", "rollbacks",
    ),
    Panel(
        "Found in memory", "percentunit",
        (("share", _share("pgops_blocks_hit_total", "pgops_blocks_read_total")),),
        "Blocks that need not be read from outside PostgreSQL's memory.", "cache_hit",
    ),
    Panel(
        "Sessions at work", "none",
        (("active", _rate("pgops_active_time_seconds_total")),
         ("idle in a transaction", _rate("pgops_idle_in_transaction_time_seconds_total"))),
        "Seconds of all sessions in a second: how many are at it on average.",
    ),
    Panel(
        "Time in statements", "none", (("running", _rate("pgops_statement_time_seconds_total")),),
        "Seconds in a second, by pg_stat_statements. Which ones: the daily report.",
    ),
    Panel(
        "Statements", "ops",
        (("calls", _rate("pgops_statement_calls_total")), ("evicted", _rate("pgops_statements_evicted_total"))),
        "Many that are evicted: pg_stat_statements.max is small, and what they cost is lost.",
    ),
    Panel(
        "Rows", "ops",
        (("inserted", _rate("pgops_rows_inserted_total")), ("updated", _rate("pgops_rows_updated_total")),
         ("deleted", _rate("pgops_rows_deleted_total"))),
        "Written per second.",
    ),
    Panel(
        "Temporary files", "Bps", (("written", _rate("pgops_temporary_bytes_total")),),
        "Sorts and joins that did not fit into work_mem.",
    ),
)  # fmt: skip
_WAL = (
    Panel("WAL", "Bps", (("written", _rate("pgops_wal_bytes_total")),), "What backups and replicas have to take."),
    Panel(
        "Checkpoints an hour", "none",
        (("by time", "3600 * rate(pgops_checkpoints_timed_total$[1h])"),
         ("requested", "3600 * rate(pgops_checkpoints_requested_total$[1h])")),
        "Many that are requested: max_wal_size is small.",
    ),
    Panel(
        "Replicas behind", "s", (("replicas", "pgops_replica_lag_seconds$"),), "As the primary sees them.",
        "replica_lag",
    ),
    Panel(
        "Kept for slots", "bytes", (("WAL", "pgops_slot_wal_kept_bytes$"),),
        "An unused slot keeps it until the disk is full.",
    ),
    Panel(
        "Archiving", "none",
        (("archived an hour", "3600 * rate(pgops_archived_total$[1h])"),
         ("failed an hour", "3600 * rate(pgops_archive_failures_total$[1h])")),
        "Files of WAL.",
    ),
    Panel("Archiving behind", "s", (("behind", "pgops_archiving_behind_seconds$"),), "How long it fails.", "archiver"),
)  # fmt: skip
_SIZE = (
    Panel(
        "Database", "bytes",
        (("size", "pgops_database_size_bytes$"),
         ("in 30 days", "predict_linear(pgops_database_size_bytes$[7d], 30 * 86400)")),
        "With where the last week leads to.",
    ),
    Panel("Largest tables", "bytes", (("{{table}}", "topk(10, pgops_table_size_bytes$)"),), "With indexes and TOAST."),
    Panel(
        "Free disk space", "percentunit", (("free", "pgops_disk_free_ratio$"),), "Where the data is.", "disk_free"
    ),
    Panel(
        "Age of transaction ids", "none",
        (("transactions", "pgops_oldest_xid_age_transactions$"),
         ("multixacts", "pgops_oldest_multixact_age_transactions$")),
        "Near two billion the server stops taking writes.", "wraparound",
    ),
    Panel(
        "Fullest key", "percentunit", (("used", "pgops_fullest_key_used_ratio$"),), "Of its type's range.", "sequence"
    ),
    Panel(
        "For nothing", "bytes",
        (("unused indexes", "pgops_unused_indexes_bytes$"), ("duplicate indexes", "pgops_duplicate_indexes_bytes$"),
         ("bloat of tables", "sum(pgops_table_bloat_bytes$)")),
        "Measured once a night.",
    ),
)  # fmt: skip
_VACUUM = (
    Panel("Dead rows", "none", (("{{table}}", "topk(10, pgops_table_dead_rows$)"),), "Of the tables with the most."),
    Panel(
        "Dead rows by what starts autovacuum", "none", (("times", "pgops_worst_vacuum_debt_ratio$"),),
        "Of the table that is furthest behind.", "autovacuum",
    ),
    Panel(
        "Vacuum and analyze", "none",
        (("vacuumed", "sum(increase(pgops_table_vacuums_total$[15m]))"),
         ("analyzed", "sum(increase(pgops_table_analyzes_total$[15m]))")),
        "Tables in 15 minutes: the night's work shows.",
    ),
)  # fmt: skip
ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("Now", _NOW),
    ("Sessions", _SESSIONS),
    ("Work", _WORK),
    ("WAL and replicas", _WAL),
    ("Size and what is left", _SIZE),
    ("Vacuum", _VACUUM),
)
