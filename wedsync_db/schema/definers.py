"""Functions that act as their owner, past every policy: each is on this list with the roles that may call it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wedsync_db.model import Finding, Severity
from wedsync_db.schema.rules import Rule

SEARCH_PATH = "search_path=pg_catalog, pg_temp"

_USERS = frozenset({"authenticated"})
_SERVER = frozenset({"service_role"})
_OBSERVERS = frozenset({"service_role", "pg_read_all_stats"})  # who may see all statistics may ask for them
_TRIGGER = frozenset[str]()

# what WedSync's migrations make; nobody calls what is a trigger's
ALLOWED: Mapping[str, frozenset[str]] = {
    "app.org_ids(text)": _USERS,
    "app.wedding_ids(text)": _USERS,
    "app.conversation_ids(text)": _USERS,
    "api.receive_payment_event(text,text,jsonb,timestamp with time zone)": _SERVER,
    "api.retry_payment_events(timestamp with time zone,integer)": _SERVER,
    "api.start_payment(uuid,text,timestamp with time zone)": _SERVER,
    "api.export_person(uuid,text)": _SERVER,
    "api.erase_person(uuid,text,timestamp with time zone)": _SERVER,
    "api.residual_scan(text[])": _SERVER,
    "audit.write()": _TRIGGER,
    "ops.analyze_table(text,integer)": _SERVER,
    "ops.check_write_gate()": _TRIGGER,
    "ops.clock()": _SERVER,
    "ops.deploy_window(timestamp with time zone,timestamp with time zone)": _SERVER,
    "ops.get_blocking_tree()": _OBSERVERS,
    "ops.get_connection_stats()": _OBSERVERS,
    "ops.get_database_size()": _OBSERVERS,
    "ops.get_index_usage(integer)": _OBSERVERS,
    "ops.get_last_backup_time()": _OBSERVERS,
    "ops.get_maintenance_candidates(integer)": _OBSERVERS,
    "ops.get_performance_stats()": _OBSERVERS,
    "ops.get_replication_status()": _OBSERVERS,
    "ops.get_schema_issues()": _OBSERVERS,
    "ops.get_slow_queries(integer,double precision,bigint)": _OBSERVERS,
    "ops.get_table_sizes(integer,boolean)": _OBSERVERS,
    "ops.get_unused_indexes(interval,bigint,bigint)": _OBSERVERS,
    "ops.keep_at_locked_wedding()": _TRIGGER,
    "ops.keep_invoice_of_locked_wedding()": _TRIGGER,
    "ops.keep_locked_wedding()": _TRIGGER,
    "ops.keep_owner()": _TRIGGER,
    "ops.override_wedding_lock(uuid,text,timestamp with time zone)": _SERVER,
    "ops.set_write_gate(text,text,timestamp with time zone)": _SERVER,
    "ops.update_table_statistics(integer,integer)": _SERVER,
    "ops.vacuum_analyze_table(text)": _SERVER,
}

RULES: Mapping[str, Rule] = {
    "definer-not-listed": Rule(
        Severity.ERROR,
        "a SECURITY DEFINER function, callable by {detail}, that is not on the list of those that may be",
        "SECURITY INVOKER; or add it to wedsync_db/schema/definers.py with the roles that may call it",
    ),
    "definer-callable": Rule(
        Severity.ERROR,
        "{detail} may call a function that acts as its owner",
        "REVOKE EXECUTE ON FUNCTION {object} FROM {detail}",
    ),
    "definer-search-path": Rule(
        Severity.ERROR,
        "a SECURITY DEFINER function can be made to call its caller's objects",
        "ALTER FUNCTION {object} SET search_path = pg_catalog, pg_temp",
    ),
}


@dataclass(frozen=True, slots=True)
class Definer:
    """A SECURITY DEFINER function: who may call it besides its owner, and its own search_path setting."""

    name: str
    callers: frozenset[str]
    search_path: str


def judge(found: Iterable[Definer], allowed: Mapping[str, frozenset[str]] = ALLOWED) -> Iterator[Finding]:
    """What these functions are or let be called beyond the list."""
    for definer in found:
        if definer.search_path != SEARCH_PATH:
            yield RULES["definer-search-path"].finding("definer-search-path", definer.name)
        if definer.name not in allowed:
            callers = ", ".join(sorted(definer.callers)) or "nobody"
            yield RULES["definer-not-listed"].finding("definer-not-listed", definer.name, callers)
        elif unexpected := definer.callers - allowed[definer.name]:
            yield RULES["definer-callable"].finding("definer-callable", definer.name, ", ".join(sorted(unexpected)))
