"""Functions that act as their owner, past every policy: each is on this list with the roles that may call it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wedsync_db.model import Finding, Severity
from wedsync_db.schema.rules import Rule

SEARCH_PATH = "search_path=pg_catalog, pg_temp"

# what WedSync's migrations make; none where only a trigger or another function calls it
ALLOWED: Mapping[str, frozenset[str]] = {
    "app.org_ids(text)": frozenset({"authenticated"}),
    "app.wedding_ids(text)": frozenset({"authenticated"}),
    "app.conversation_ids(text)": frozenset({"authenticated"}),
    # the guards of 0014: triggers, and what the platform's server side or a deployment calls
    "ops.check_write_gate()": frozenset(),
    "ops.keep_at_locked_wedding()": frozenset(),
    "ops.keep_invoice_of_locked_wedding()": frozenset(),
    "ops.keep_locked_wedding()": frozenset(),
    "ops.keep_owner()": frozenset(),
    "ops.clock()": frozenset({"service_role"}),
    "ops.set_write_gate(text,text,timestamp with time zone)": frozenset({"service_role"}),
    "ops.override_wedding_lock(uuid,text,timestamp with time zone)": frozenset({"service_role"}),
    "ops.deploy_window(timestamp with time zone,timestamp with time zone)": frozenset({"service_role"}),
}

RULES: Mapping[str, Rule] = {
    "definer-not-listed": Rule(
        Severity.ERROR,
        "a SECURITY DEFINER function that is not on the list of those that may be",
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
            yield RULES["definer-not-listed"].finding("definer-not-listed", definer.name)
        if unexpected := definer.callers - allowed.get(definer.name, frozenset()):
            yield RULES["definer-callable"].finding("definer-callable", definer.name, ", ".join(sorted(unexpected)))
