"""The parts of a night, each with a session of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from wedsync_db.maintain.candidates import Needs, Request, finish_request, needs
from wedsync_db.maintain.giving_way import Watch
from wedsync_db.maintain.plan import Action, LeftAlone, Work, plan
from wedsync_db.maintain.upkeep import (
    Kept,
    clean_leftovers,
    free_bytes_of,
    keep_partitions,
    rebuild_one_index,
    retry_payments,
    survived,
    sweep_load_test,
)
from wedsync_db.maintain.work import Done
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import MaintenanceSettings


def is_replica(address: Address) -> bool:
    """Whether the server only repeats what another one does."""
    with session(address, "maintenance") as connection:
        return bool(connection.execute(query("maintenance", "is_replica"), {}).fetchall()[0][0])


def ask_needs(
    address: Address,
    settings: MaintenanceSettings,
    *,
    budget_seconds: float,
    took_before: Mapping[tuple[str, Action], float],
) -> tuple[Needs, tuple[Work, ...], tuple[LeftAlone, ...]]:
    """What the database needs, what of it is done tonight, and what is left alone."""
    with session(address, "maintenance") as connection:
        found = needs(connection, settings)
    return (found, *plan(found.candidates, settings, budget_seconds=budget_seconds, took_before=took_before))


def finish_requests(address: Address, requests: Sequence[Request], done: Iterable[Done]) -> None:
    """Take off the list what was done or cannot be; what was busy, or had no time, stays for another night."""
    ended = {one.table: one for one in done}
    with session(address, "maintenance") as connection:
        for request in requests:
            outcomes = [ended[table].outcome if table in ended else "over_budget" for table in request.tables]
            if not _goes_on(outcomes):
                finish_request(connection, request.relation, _said(outcomes))


def _goes_on(outcomes: Iterable[str]) -> bool:
    return any(outcome in {"busy", "skipped_locked", "over_budget", "yielded"} for outcome in outcomes)


def _said(outcomes: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(outcomes)) or "gone: there is no table of that name any more"


def look_after(
    address: Address,
    settings: MaintenanceSettings,
    watch: Watch,
    *,
    now: datetime,
    left: Iterable[LeftAlone] = (),
    budget_seconds: float,
) -> tuple[Kept, ...]:
    """Everything but the tables; what fails is told in its place and keeps the rest from nothing."""
    watch.look()
    if watch.wanted_by:
        return (Kept("everything but the tables", "yielded", f"for {watch.wanted_by}"),)
    alone = [one.table for one in left if one.reason in ("hot", "running")]
    return (
        *survived("partitions", lambda: keep_partitions(address, settings, watch, now=now)),
        *survived("payment events", lambda: retry_payments(address, settings, watch, now=now)),
        *survived("load test", lambda: sweep_load_test(address)),
        *survived("invalid indexes", lambda: clean_leftovers(address, watch, budget_seconds=budget_seconds)),
        *survived(
            "indexes",
            lambda: rebuild_one_index(
                address,
                settings,
                watch,
                not_of=alone,
                free_bytes=lambda: free_bytes_of(address),
                budget_seconds=budget_seconds,
            ),
        ),
    )
