"""The night's VACUUM and ANALYZE, one table at a time, each judged by what the server counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import LiteralString

import psycopg
from psycopg import sql

from wedsync_db.errors import WedsyncError
from wedsync_db.maintain.giving_way import Watch
from wedsync_db.maintain.plan import Action, Counters, Outcome, Work, judged
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import MaintenanceSettings

_STATEMENTS: Mapping[Action, LiteralString] = {
    "freeze": "vacuum (freeze) {}",
    "vacuum": "vacuum (analyze) {}",
    "analyze": "analyze {}",
}
_LEAST_MS = 1000  # less would end what has hardly begun
_LONGEST_DELAY_MS = 100.0  # PostgreSQL's own limit
_LOST = "our lock on the target, or the session that looks for deployments, was lost"


@dataclass(frozen=True, slots=True)
class Done:
    """How the work on one table ended; `detail` says why, where it did not do what it should. None: not known."""

    table: str
    action: Action
    outcome: Outcome
    seconds: float = 0.0
    before: Counters | None = None
    after: Counters | None = None
    detail: str = ""


def work_through(
    address: Address,
    planned: Sequence[Work],
    settings: MaintenanceSettings,
    watch: Watch,
    *,
    budget_seconds: float,
    timer: Callable[[], float] = time.monotonic,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[Done, ...]:
    """Work on each table in turn. Never raises for one of them: how it ended is in its outcome.

    Args:
        address: The database; the caller holds its target lock.
        planned: The work, in order.
        settings: How long a lock is waited for, and how gently the server works.
        watch: Looks for deployments: when one is announced, this table and all after it are `yielded`.
        budget_seconds: When this is used up no further table is begun, and the one at work is ended.
        timer: A clock in seconds.
        say: Gets a line for each table.
        progress: Gets the share of the whole that is done, 0 to 1.
    """
    ended: list[Done] = []
    deadline = timer() + budget_seconds
    for number, one in enumerate(planned):
        done = Done(one.table, one.action, "over_budget")
        if timer() < deadline:
            share = _share(progress, number, len(planned))
            left = deadline - timer()
            done = work_on(
                address, one.table, one.action, settings, watch, budget_seconds=left, timer=timer, progress=share
            )
        say(f"{done.action} {done.table}: {done.outcome}{f', {done.detail}' if done.detail else ''}")
        ended.append(done)
    progress(1.0)
    return tuple(ended)


def work_on(
    address: Address,
    table: str,
    action: Action,
    settings: MaintenanceSettings,
    watch: Watch,
    *,
    budget_seconds: float,
    timer: Callable[[], float] = time.monotonic,
    progress: Callable[[float], None] = lambda _: None,
) -> Done:
    """Work on one table, in a session of its own; `table` is a name as the catalog quotes it.

    What is ended when the budget is used up keeps what it did: pages that are frozen or free of dead rows stay so.
    """
    began = timer()
    try:
        watch.look()
        if watch.wanted_by:
            return Done(table, action, "yielded", detail=f"for {watch.wanted_by}")
        if watch.is_lost:
            return Done(table, action, "failed", detail=_LOST)
        with session(
            address,
            "maintenance",
            lock_timeout_ms=settings.lock_timeout_ms,
            statement_timeout_ms=max(round(budget_seconds * 1000), _LEAST_MS),
            settings={"vacuum_cost_delay": str(min(settings.cost_delay_ms, _LONGEST_DELAY_MS))},
        ) as connection:
            done = _counted(connection, table, action, settings, watch, progress)
    except WedsyncError as error:
        done = Done(table, action, "failed", detail=error.message)
    except psycopg.Error as error:
        outcome, detail = failure(error, watch)
        done = Done(table, action, outcome, detail=detail)
    return replace(done, seconds=timer() - began)


def failure(error: psycopg.Error, watch: Watch) -> tuple[Outcome, str]:
    """What an error of the server means for maintenance, in a word and a line without the server's own text."""
    if isinstance(error, psycopg.errors.QueryCanceled):
        return _ended(watch)
    if watch.is_lost:
        return "failed", _LOST
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "busy", "somebody holds a lock on it"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "denied", "this role may not"
    return "failed", f"the server said SQLSTATE {error.sqlstate}" if error.sqlstate else "the session was lost"


def _ended(watch: Watch) -> tuple[Outcome, str]:
    """Why a statement was cancelled."""
    if watch.wanted_by:
        return "yielded", f"for {watch.wanted_by}"
    if watch.is_lost:
        return "failed", _LOST
    if watch.waiting:
        return "busy", f"it was ended for {watch.waiting}, who waited for its lock"
    return "over_budget", "it was ended: no time was left, or somebody cancelled it"


def named(text: LiteralString, name: str) -> sql.Composed:
    """A statement with a name in it that the catalog itself quoted."""
    return sql.SQL(text).format(sql.SQL(name))


def _counted(
    connection: psycopg.Connection,
    table: str,
    action: Action,
    settings: MaintenanceSettings,
    watch: Watch,
    progress: Callable[[float], None],
) -> Done:
    before = _counters(connection, table)
    if before is None:
        return Done(table, action, "gone", detail="it was dropped in the meantime")
    warnings: list[str] = []
    connection.add_notice_handler(
        lambda said: warnings.append(said.sqlstate or "") if said.severity_nonlocalized == "WARNING" else None
    )
    try:
        with watch.cancelling(connection, progress, patience_ms=settings.lock_timeout_ms):
            connection.execute(named(_STATEMENTS[action], table))
    except psycopg.Error as error:
        outcome, detail = failure(error, watch)
        return Done(table, action, outcome, before=before, detail=detail)
    after = _counters(connection, table)
    if after is None:
        return Done(table, action, "gone", before=before, detail="it was dropped in the meantime")
    outcome = judged(action, before, after, warnings)
    return Done(table, action, outcome, before=before, after=after, detail=_why(connection, outcome))


def _why(connection: psycopg.Connection, outcome: Outcome) -> str:
    if outcome == "blocked_by_xmin":
        row = connection.execute(query("maintenance", "xmin_holder"), {}).fetchone()
        return f"dead rows are still seen by {row[0]}" if row else "who still sees its dead rows has gone by now"
    return {"denied": "this role may not", "failed": "the server counted no effect"}.get(outcome, "")


def _counters(connection: psycopg.Connection, table: str) -> Counters | None:
    row = connection.execute(query("maintenance", "counters"), {"table": table}).fetchone()
    return Counters(*row) if row else None


def _share(progress: Callable[[float], None], number: int, count: int) -> Callable[[float], None]:
    return lambda fraction: progress((number + fraction) / count)
