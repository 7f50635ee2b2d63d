"""Everything the history store knows for the report of a day; each part by itself, so that one that is lost is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, TypeVar

import pandas as pd
import psycopg

from wedsync_db.errors import WedsyncError
from wedsync_db.history.best_effort import said
from wedsync_db.history.deployments import Deployed, between
from wedsync_db.history.forecast import Growth, growth
from wedsync_db.history.frame import column, database_growth, frame
from wedsync_db.history.raw import EPOCH, raw_frame, series
from wedsync_db.history.samples import newest
from wedsync_db.history.statements import Cost, top
from wedsync_db.monitor.metrics import Metric
from wedsync_db.postgres.queries import query

FAST = frozenset(
    {
        "clients", "connections_used", "connections_limit", "commits", "rollbacks", "blocks_hit", "blocks_read",
        "wal", "checkpoints_timed", "checkpoints_requested", "waiting_for_lock", "longest_lock_wait",
        "oldest_xid_age", "oldest_multixact_age", "deadlocks",
    }
)  # fmt: skip
_SIZE_DAYS = 90  # a forecast rests on more than the days that are shown
_BACKUP_DAYS = 35  # a drill is weekly
_KEY = "key_used"
_SIZE = Metric("database_size", "gauge", "bytes")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BackupSeen:
    """One backup of the registry; sizes are bytes."""

    id: str
    state: str
    created_at: datetime
    verified_at: datetime | None
    drilled_at: datetime | None
    stored_bytes: int | None
    deleted_at: datetime | None
    problem: str


@dataclass(frozen=True, slots=True)
class DrillSeen:
    """One restore that was tried; durations are seconds."""

    at: datetime
    backup_id: str
    outcome: str
    recovery_seconds: float | None
    data_age_seconds: float | None
    problem: str


@dataclass(frozen=True, slots=True)
class NightSeen:
    """One night; `work` is how many tables by action and outcome, and the seconds they took."""

    started_at: datetime
    finished_at: datetime
    outcome: str
    summary: str
    work: Mapping[tuple[str, str], tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FindingSeen:
    """Something about the schema, and whether the newest night still found it."""

    rule: str
    message: str
    first_seen: datetime
    still: bool


@dataclass(frozen=True, slots=True)
class KeySeen:
    """A key, the share of its range that is used, and how that grows; None where that takes more days to say."""

    name: str
    used: float
    growth: Growth | None


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that is on."""

    rule: str
    subject: str
    state: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """Something people were told of an alert: firing, worse, still firing, resolved."""

    at: datetime
    rule: str
    subject: str
    what: str
    state: str
    evidence: str


def _no_samples() -> pd.DataFrame:
    return pd.DataFrame({EPOCH: pd.Series(dtype="object")}, index=pd.DatetimeIndex([], tz="UTC", name="at"))


@dataclass(frozen=True)
class Known:
    """What is known of an environment from `since` to `until`. `problems`: what could not be read, and why.

    `fast` are the samples of each minute with their epoch, `sizes` the bytes of the database by day, `tables` the
    newest values of every table, `keys` the fullest first. `unread` is what could not be measured in the last day, and
    why.
    """

    environment: str
    since: datetime
    until: datetime
    fast: pd.DataFrame = field(default_factory=_no_samples)
    sizes: pd.Series = field(default_factory=lambda: pd.Series(dtype="float64"))
    growth: Growth | None = None
    keys: tuple[KeySeen, ...] = ()
    tables: Mapping[Metric, float | None] = field(default_factory=dict)
    deployments: tuple[Deployed, ...] = ()
    backups: tuple[BackupSeen, ...] = ()
    drills: tuple[DrillSeen, ...] = ()
    nights: tuple[NightSeen, ...] = ()
    findings: tuple[FindingSeen, ...] = ()
    firing: tuple[Firing, ...] = ()
    told: tuple[Told, ...] = ()
    statements: tuple[Cost, ...] = ()
    unread: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def known(connection: psycopg.Connection, environment: str, since: datetime, until: datetime) -> Known:
    """Read it all, in a session that commits by itself. A part that cannot be read is empty, and a problem."""
    problems: list[str] = []

    def part(what: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except (WedsyncError, psycopg.Error) as error:
            problems.append(f"{what} cannot be read: {said(error)}")
            return otherwise

    def rows(name: LiteralString, begin: datetime) -> list[tuple[Any, ...]]:
        given = {"environment": environment, "since": begin, "until": until}
        return connection.execute(query("daily_report", name), given).fetchall()

    later, month = until + timedelta(microseconds=1), min(since, until - timedelta(days=_BACKUP_DAYS))
    return Known(
        environment,
        since,
        until,
        part("samples", lambda: raw_frame(connection, environment, "fast", FAST, since, later), _no_samples()),
        part("sizes", lambda: _sizes(connection, environment, until), pd.Series(dtype="float64")),
        part("growth", lambda: database_growth(connection, environment, later, _SIZE_DAYS), None),
        part("keys", lambda: _keys(connection, environment, until), ()),
        part("tables", lambda: _tables(connection, environment, until), {}),
        part("deployments", lambda: between(connection, environment, since, later), ()),
        part("backups", lambda: tuple(BackupSeen(*_utc(row)) for row in rows("backups", month)), ()),
        part("drills", lambda: tuple(DrillSeen(*_utc(row)) for row in rows("drills", month)), ()),
        part("nights", lambda: _nights(rows("nights", since), rows("work", since)), ()),
        part("findings", lambda: tuple(FindingSeen(*_utc(row)) for row in rows("findings", since)), ()),
        part("alerts", lambda: tuple(Firing(*_utc(row)) for row in rows("alerts", since)), ()),
        part("what people were told", lambda: tuple(Told(*_utc(row)) for row in rows("events", since)), ()),
        part("statements", lambda: top(connection, environment, since, later), ()),
        part("what was not measured", lambda: _unread(connection, environment, until), ()),
        tuple(problems),
    )


def _sizes(connection: psycopg.Connection, environment: str, until: datetime) -> pd.Series:
    """The size at the end of each day; by the hour where no day has been rolled up yet."""
    name, begin = column(_SIZE), until - timedelta(days=_SIZE_DAYS)
    days = frame(connection, environment, "sizes", begin, until, step="day", statistic="last")
    if name in days and days[name].notna().sum() > 1:
        ends = [min(at + timedelta(days=1), until) for at in pd.DatetimeIndex(days.index).to_pydatetime()]
        return pd.Series(days[name].to_numpy(), index=pd.DatetimeIndex(ends))
    raw = raw_frame(connection, environment, "sizes", {"database_size"}, begin, until + timedelta(microseconds=1))
    return raw[series(_SIZE)] if series(_SIZE) in raw else pd.Series(dtype="float64")


def _keys(connection: psycopg.Connection, environment: str, until: datetime) -> tuple[KeySeen, ...]:
    """How much of each key's range is used, and how that grows, by what was measured each night."""
    begin = until - timedelta(days=_SIZE_DAYS)
    found = raw_frame(connection, environment, "nightly", {_KEY}, begin, until + timedelta(microseconds=1))
    return keys_of(found)


def keys_of(found: pd.DataFrame) -> tuple[KeySeen, ...]:
    """The keys of a frame of the nightly tier, the fullest first. Pure; a key of which nothing is known is left out."""
    days = (pd.DatetimeIndex(found.index) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    keys = []
    for name in (name for name in found.columns if name.startswith(f"{_KEY}_ratio/")):
        known_ = found[name].notna().to_numpy()
        used = [float(value) for value in found[name].to_numpy()[known_]]
        if used:
            keys.append(KeySeen(name.partition("/")[2], used[-1], growth([float(d) for d in days[known_]], used)))
    return tuple(sorted(keys, key=lambda key: (-key.used, key.name)))


def _tables(connection: psycopg.Connection, environment: str, until: datetime) -> Mapping[Metric, float | None]:
    found = newest(connection, environment, "tables", until)
    return found.values if found else {}  # noqa: PD011 no frame


def _unread(connection: psycopg.Connection, environment: str, until: datetime) -> tuple[str, ...]:
    rows = connection.execute(
        query("daily_report", "unread"),
        {"environment": environment, "since": until - timedelta(days=1), "until": until},
    )
    return tuple(problem for (problem,) in rows)


def _nights(nights: Sequence[Sequence[Any]], work: Sequence[Sequence[Any]]) -> tuple[NightSeen, ...]:
    done: dict[datetime, dict[tuple[str, str], tuple[int, float]]] = {}
    for at, action, outcome, count, seconds in work:
        done.setdefault(at, {})[action, outcome] = (count, seconds)
    return tuple(NightSeen(*_utc([*row, done.get(row[0], {})])) for row in nights)


def _utc(row: Sequence[Any]) -> list[Any]:
    return [value.astimezone(UTC) if isinstance(value, datetime) else value for value in row]
