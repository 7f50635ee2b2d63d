"""What else the night looks after: leftovers of interrupted work, one bloated index, partitions, waiting payments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import sql

from wedsync_db.errors import WedsyncError
from wedsync_db.load.leftover import sweep
from wedsync_db.maintain.giving_way import Watch
from wedsync_db.maintain.plan import Outcome
from wedsync_db.maintain.work import failure, named
from wedsync_db.postgres.disk import data_room
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import MaintenanceSettings

_MOST_COUNTED = 1000  # rows of a default partition; that there are some is what matters


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that was looked after. `reported`: left as it is, for a person; `unknown`: not to be judged."""

    what: str
    outcome: Outcome | Literal["reported", "unknown"]
    detail: str = ""


def clean_leftovers(address: Address, watch: Watch, *, budget_seconds: float) -> tuple[Kept, ...]:
    """Drop what an interrupted REINDEX CONCURRENTLY left; any other invalid index is only reported."""
    with _beside_others(address, budget_seconds) as connection:
        found = connection.execute(query("maintenance", "leftovers"), {}).fetchall()
        return tuple(_leftover(connection, watch, *row) for row in found)


def _leftover(connection: psycopg.Connection, watch: Watch, index: str, is_ours: bool, is_busy: bool) -> Kept:
    what = f"invalid index {index}"
    if is_busy:
        return Kept(what, "busy", "somebody is at work on its table")
    if not is_ours:
        return Kept(what, "reported", "no query uses it and every write pays for it: drop it, or build it again")
    return _carried_out(connection, watch, what, named("drop index concurrently {}", index), "dropped")


def rebuild_one_index(
    address: Address,
    settings: MaintenanceSettings,
    watch: Watch,
    *,
    not_of: Sequence[str],
    free_bytes: Callable[[], int | None],
    budget_seconds: float,
) -> tuple[Kept, ...]:
    """Rebuild the index with most to gain, at most one a night, beside readers and writers.

    Args:
        address: The database.
        settings: How empty an index must be, and how large.
        watch: Looks for deployments.
        not_of: Tables that are to be left alone.
        free_bytes: Room where the server keeps its data; None where that is not known, and nothing is rebuilt then.
        budget_seconds: What is left of the night.
    """
    with _beside_others(address, budget_seconds) as connection:
        row = connection.execute(
            query("maintenance", "emptiest_index"),
            {
                "least_bytes": max(settings.reindex_least_mb << 20, 1),
                "ratio": settings.reindex_bloat_ratio,
                "not_of": list(not_of),
            },
        ).fetchone()
        if not row:
            return ()
        index, size, empty, in_data_folder = row
        room = free_bytes() if in_data_folder else None
        return (_rebuilt(connection, watch, index, size, empty, room),)


def _rebuilt(
    connection: psycopg.Connection, watch: Watch, index: str, size: int, empty: float, free: int | None
) -> Kept:
    what = f"index {index}"
    estimate = f"about {empty:.0%} of {size >> 20} MiB empty, by pg_class and pg_stats"
    if free is None:
        return Kept(what, "unknown", f"{estimate}; not rebuilt, as nobody knows how much room its disk has")
    if free < 2 * size:
        return Kept(what, "reported", f"{estimate}; not rebuilt, that takes {2 * size >> 20} MiB of room")
    done = _carried_out(connection, watch, what, named("reindex index concurrently {}", index), "")
    if done.outcome != "done":
        return Kept(what, done.outcome, f"{estimate}; {done.detail}; another night cleans up what it left")
    now = connection.execute(query("maintenance", "index_size"), {"index": index}).fetchone()
    return Kept(what, "done", f"{estimate}; rebuilt{f', now {now[0] >> 20} MiB' if now else ''}")


def keep_partitions(
    address: Address, settings: MaintenanceSettings, watch: Watch, *, now: datetime
) -> tuple[Kept, ...]:
    """Make the log's months ahead, drop those nobody has to keep, and report rows that had no partition."""
    first = now.astimezone(UTC).date().replace(day=1)
    oldest = _months_before(first, settings.audit_keep_months)
    ahead = {"month": first, "months": settings.partitions_ahead_months + 1}
    with _working(address, settings) as connection:
        kept = [
            *_called(connection, watch, "audit.ensure_partitions(date,integer)", "ensure_partitions", ahead, "made"),
            *_called(
                connection, watch, "audit.drop_partitions_before(date)", "drop_partitions", {"month": oldest}, "dropped"
            ),
        ]
        return (*kept, *_in_default_partitions(connection, watch))


def retry_payments(address: Address, settings: MaintenanceSettings, watch: Watch, *, now: datetime) -> tuple[Kept, ...]:
    """Try waiting payment events once more, where the database knows any."""
    signature, values = "api.retry_payment_events(timestamptz,integer)", {"at": now}
    with _working(address, settings) as connection:
        return tuple(_called(connection, watch, signature, "retry_payments", values, "tried"))


def _months_before(first: date, months: int) -> date:
    years, month = divmod(first.year * 12 + first.month - 1 - months, 12)
    return first.replace(year=years, month=month + 1)


def _called(
    connection: psycopg.Connection,
    watch: Watch,
    signature: str,
    name: LiteralString,
    values: Mapping[str, Any],
    word: str,
) -> Iterator[Kept]:
    """Call a function of the database's own, where it has it; what it gives back is names and counts."""
    if not connection.execute(query("maintenance", "has_function"), {"signature": signature}).fetchall()[0][0]:
        return
    what = signature.partition("(")[0]
    try:
        with _unless_wanted(watch, connection):
            rows = connection.execute(query("maintenance", name), values).fetchall()
    except psycopg.Error as error:
        yield Kept(what, *failure(error, watch))
        return
    except _WantedError:
        yield Kept(what, "yielded", f"for {watch.wanted_by}")
        return
    shown = ", ".join(" ".join(str(value) for value in reversed(row)) for row in rows)
    yield Kept(what, "done", f"{word}: {shown}" if shown else f"{word} nothing")


def _in_default_partitions(connection: psycopg.Connection, watch: Watch) -> Iterator[Kept]:
    for (table,) in connection.execute(query("maintenance", "default_partitions"), {}).fetchall():
        try:
            count = connection.execute(
                named(f"select count(*) from (select from {{}} limit {_MOST_COUNTED}) as r", table)  # noqa: S608 our own
            ).fetchall()[0][0]
        except psycopg.Error as error:
            yield Kept(f"partition {table}", "unknown", failure(error, watch)[1])
            continue
        if count:
            more = " or more" if count == _MOST_COUNTED else ""
            yield Kept(f"partition {table}", "reported", f"{count}{more} rows have no partition of their own")


class _WantedError(Exception):
    """A deployment wants the target, so nothing is begun."""


def _unless_wanted(watch: Watch, connection: psycopg.Connection) -> AbstractContextManager[None]:
    watch.look()
    if watch.wanted_by or watch.is_lost:
        raise _WantedError
    return watch.cancelling(connection)


def _carried_out(connection: psycopg.Connection, watch: Watch, what: str, statement: sql.Composed, done: str) -> Kept:
    try:
        with _unless_wanted(watch, connection):
            connection.execute(statement)
    except psycopg.Error as error:
        if isinstance(error, psycopg.errors.QueryCanceled) and not (watch.wanted_by or watch.is_lost or watch.waiting):
            return Kept(what, "over_budget", "the night was over before it had ended")
        return Kept(what, *failure(error, watch))
    except _WantedError:
        return Kept(what, "yielded", f"for {watch.wanted_by}")
    return Kept(what, "done", done)


def sweep_load_test(address: Address) -> tuple[Kept, ...]:
    """Drop the database that a killed load test left beside this one, sessions and rows with it."""
    said = "a load test was killed and left it: dropped"
    return tuple(Kept(f"database {name}", "done", said) for name in sweep(address))


def free_bytes_of(address: Address) -> int | None:
    """Free bytes where the server keeps its data; None for a server elsewhere, or one that does not say where."""
    with session(address, "maintenance") as connection:
        room, _ = data_room(connection)
    return room.free if room else None


def _beside_others(address: Address, budget_seconds: float) -> AbstractContextManager[psycopg.Connection]:
    """A session for CONCURRENTLY, which waits for every transaction that is older, and keeps nobody waiting by it."""
    limit = max(round(budget_seconds * 1000), 1000)
    return session(address, "maintenance", lock_timeout_ms=0, statement_timeout_ms=limit)


def _working(address: Address, settings: MaintenanceSettings) -> AbstractContextManager[psycopg.Connection]:
    return session(address, "maintenance", lock_timeout_ms=settings.lock_timeout_ms, statement_timeout_ms=0)


def survived(what: str, work: Callable[[], tuple[Kept, ...]]) -> tuple[Kept, ...]:
    """What the work gives back; an error becomes a line of its own, so that the rest of the night goes on."""
    try:
        return work()
    except WedsyncError as error:
        return (Kept(what, "failed", error.message),)
    except psycopg.Error as error:
        return (
            Kept(what, "failed", f"the server said SQLSTATE {error.sqlstate}" if error.sqlstate else "session lost"),
        )
