"""The guard's questions: each asks the server or this machine one thing, and yields a finding where the answer is bad.

A question may raise psycopg.Error or OSError: then it could not be asked, which its caller takes for a bad answer.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import tuple_row

from wedsync_db.errors import Refused
from wedsync_db.guard.freeze import Freeze, first_freeze
from wedsync_db.guard.impact import NO_WORK, Work
from wedsync_db.guard.promotion import Promotion, judge, judge_load
from wedsync_db.guard.window import Verdict, Window, at, weigh
from wedsync_db.model import Finding, ServerFacts, Severity
from wedsync_db.postgres.connect_errors import POOLED_HINT
from wedsync_db.postgres.locks import holder
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.server import is_pooled, lost_settings, needed_release, require_supported, server_facts
from wedsync_db.settings import Environment

_SHOWN = 3  # names in one line


@dataclass(frozen=True, slots=True)
class Context:
    """What questions need besides a session.

    `clock` is this machine's, `work` what the deployment has still to do, `promotion` what the environment says of it
    that comes first.
    """

    environment: Environment
    home: Path
    clock: Callable[[], datetime]
    work: Work = NO_WORK
    promotion: Promotion | None = None

    def over_by(self, now: datetime) -> datetime:
        """When the deployment, and a roll back of all of it, are predicted to be over."""
        return now + timedelta(seconds=self.work.seconds + self.work.roll_back_seconds)


Question = Callable[[psycopg.Connection, Context], Iterator[Finding]]


def version(connection: psycopg.Connection, _context: Context) -> Iterator[Finding]:
    """Is the server one we were tested with, and new enough to keep hidden rows hidden?"""
    try:
        facts = server_facts(connection)
        require_supported(facts)
    except Refused as error:
        yield _bad("version", error.message, error.hint)
    else:
        yield from outdated(facts)


def outdated(facts: ServerFacts) -> Iterator[Finding]:
    """A warning, no more: the leak was there before this deployment, and is there without it."""
    if needed := needed_release(facts):
        yield Finding(
            "version",
            Severity.WARNING,
            f"PostgreSQL {facts.major}.{facts.minor} lets users read values that row-level security hides from them,"
            " sampled in the planner's statistics (CVE-2025-8713)",
            f"Upgrade the server to {needed} or later: new binaries and a restart, the data stays",
        )


def standby(connection: psycopg.Connection, _context: Context) -> Iterator[Finding]:
    """Is it the primary?"""
    in_recovery, _ = _row(connection, "writable")
    if in_recovery:
        yield _bad("standby", "the server is a standby and takes no writes", "Give the address of the primary")


def read_only(connection: psycopg.Connection, _context: Context) -> Iterator[Finding]:
    """May transactions write?"""
    _, default_read_only = _row(connection, "writable")
    if default_read_only:
        yield _bad(
            "read-only",
            "transactions are read-only here by default",
            "Somebody wants no writes: ask why, then reset default_transaction_read_only of server, database or role",
        )


def pooled(connection: psycopg.Connection, _context: Context) -> Iterator[Finding]:
    """Do we talk to the server itself?"""
    if is_pooled(connection):
        yield _bad("pooled", "the connection goes through a pooler", POOLED_HINT)


def settings(connection: psycopg.Connection, _context: Context) -> Iterator[Finding]:
    """Are our timeouts in force?"""
    if lost := lost_settings(connection):
        yield _bad("settings", f"the server did not get our {', '.join(lost)}", POOLED_HINT)


def tls(connection: psycopg.Connection, context: Context) -> Iterator[Finding]:
    """Is the connection encrypted where it must be?"""
    if context.environment.require_tls and not _row(connection, "encrypted")[0]:
        yield _bad("tls", "the connection is not encrypted, and this environment requires it", "sslmode=verify-full")


def role(connection: psycopg.Connection, _context: Context) -> Iterator[Finding]:
    """May the role create the ledger's schema and alter what is there?"""
    create_in_database, create_in_ledger, user = _row(connection, "privileges")
    if create_in_ledger is None and not create_in_database:
        yield _bad("role", f"role {user} may not create a schema here", f"grant create on database … to {user}")
    if create_in_ledger is False:
        yield _bad(
            "role",
            f"role {user} may not create in schema wedsync_db",
            f"Deploy as its owner, or grant its role to {user}",
        )
    count, first = _row(connection, "tables_of_others")
    if count:
        text = f"{count} tables belong to roles that {user} is no member of ({first}, …): it cannot alter them"
        yield Finding("role", Severity.NOTE, text, f"grant the owner's role to {user} if migrations touch them")


def rows(connection: psycopg.Connection, _context: Context) -> Iterator[Finding]:
    """Does the role see every row of every table?"""
    found = _rows(connection, "partly_visible_tables")
    hidden = [name for name, readable in found if not readable]
    filtered = [name for name, readable in found if readable]
    if hidden:
        yield _bad(
            "rows",
            f"the role cannot read {_listed(hidden)}: no complete backup",
            "grant select on it to the role: docs/grants.sql",
        )
    if filtered:
        yield _bad(
            "rows",
            f"row-level security hides rows of {_listed(filtered)} from the role: no complete backup",
            "alter role … bypassrls, or deploy as a role that has it",
        )


def clock(connection: psycopg.Connection, context: Context) -> Iterator[Finding]:
    """Do the server's clock and ours agree? Half of the round trip is given to chance."""
    before = context.clock()
    server = _server_time(connection)
    after = context.clock()
    skew = abs((server - (before + (after - before) / 2)).total_seconds())
    doubt = (after - before).total_seconds() / 2
    if skew - doubt > context.environment.guard.clock_skew_seconds:
        yield _bad(
            "clock",
            f"the server's clock and this machine's differ by {skew:.1f} s",
            "Synchronise both (NTP): times in ledger, journal and backups are compared",
        )


def freeze(connection: psycopg.Connection, context: Context) -> Iterator[Finding]:
    """Is it a weekend by the server's clock, or will it be before the deployment and a roll back could be over?"""
    guard = context.environment.guard
    if guard.freeze == "off":
        return
    now = _server_time(connection)
    zone = ZoneInfo(guard.zone)
    end = context.over_by(now)
    found = first_freeze(now, end, zone, guard.freeze_from_friday_hour)
    if found:
        yield _frozen(found, now, end, zone)


def _frozen(found: Freeze, now: datetime, end: datetime, zone: ZoneInfo) -> Finding:
    hint = f"It ends on {at(found.end, zone)}"
    if found.start <= now:
        return _bad("freeze", f"nobody deploys on a weekend: frozen since {at(found.start, zone)}", hint)
    return _bad(
        "freeze",
        f"migrations and a roll back could last until {at(end, zone)}, into the freeze from {at(found.start, zone)}",
        hint,
    )


def weddings(connection: psycopg.Connection, context: Context) -> Iterator[Finding]:
    """Is a wedding near, in its own time zone, that these migrations could disturb before they could be over?"""
    guard = context.environment.guard
    if guard.weddings == "off":
        return
    if not _row(connection, "knows_weddings")[0]:
        yield Finding("weddings", Severity.NOTE, "this database has no ops.deploy_window(): it knows of no weddings")
        return
    now = _server_time(connection)
    asked = {"start": now.timestamp(), "end": context.over_by(now).timestamp()}
    verdict, reasons, locked, organizations, *moments = _row(connection, "deploy_window", asked)
    next_release, next_open = (None if m is None else datetime.fromtimestamp(m, UTC) for m in moments)
    window = Window(Verdict(verdict), tuple(reasons), locked, organizations, next_release, next_open)
    yield from weigh(window, context.work.reasons, guard.locked_weddings_allowed, ZoneInfo(guard.zone))


def promotion(_connection: psycopg.Connection, context: Context) -> Iterator[Finding]:
    """Was all of it deployed and verified, as it is now, on the environment that comes first?"""
    source = context.environment.promoted_from
    if source is not None:
        yield from judge(context.promotion or Promotion(source, unknown="it was not asked"))


def load_test(_connection: psycopg.Connection, context: Context) -> Iterator[Finding]:
    """Did a load test pass with all of it, on the environment that comes first?"""
    source = context.environment.promoted_from
    if context.environment.require_load_test is not None and source is not None:
        yield from judge_load(context.promotion or Promotion(source, unknown="it was not asked"))


def held(connection: psycopg.Connection, _context: Context) -> Iterator[Finding]:
    """Does somebody else hold the database?"""
    who = holder(connection)
    if who is not None:
        yield _bad("held", f"somebody holds the database: {who}", "Wait until it has finished; `status` shows it")


def blockers(connection: psycopg.Connection, context: Context) -> Iterator[Finding]:
    """Are there transactions that a migration would wait for?"""
    limit = context.environment.guard.long_transaction_seconds
    for kind, name, user, application, state, age in _rows(connection, "blockers", {"seconds": limit}):
        yield _bad("blockers", *_blocker(kind, name, user, application, state, age or 0.0))
    (hidden,) = _row(connection, "hidden_sessions")
    if hidden:
        yield _bad(
            "blockers",
            f"{hidden} sessions of others are hidden from the role: they may hold old transactions",
            "grant pg_read_all_stats to the role",
        )


def _blocker(kind: str, name: str, user: str, application: str, state: str, age: float) -> tuple[str, str]:
    """Message and hint for one transaction; ages in seconds."""
    if kind == "prepared":
        return (
            f"transaction {name!r} of {user} was prepared {age:.0f} s ago and keeps its locks",
            "commit prepared or rollback prepared it, whichever its owner says",
        )
    if kind == "vacuum":
        return (
            f"an autovacuum against wraparound (pid {name}) runs for {age:.0f} s and gives way to nobody",
            "Let it finish; it protects the database",
        )
    return (
        f"{application or 'a session'} (pid {name}, user {user}) has a transaction open for {age:.0f} s ({state})",
        f"Wait for it, or end it: select pg_terminate_backend({name})",
    )


def disk(connection: psycopg.Connection, context: Context) -> Iterator[Finding]:
    """Is there room here for the backup and the scratch server?"""
    (size,) = _row(connection, "database_size")
    factor = context.environment.guard.free_disk_factor
    free = shutil.disk_usage(_nearest(context.home)).free
    if free < size * factor:
        yield _bad(
            "disk",
            f"{_mib(free)} MiB are free for {context.home}; {factor:g} times the database's {_mib(size)} are needed",
            "Make room, or set WEDSYNC_HOME to a larger disk",
        )


def replication(connection: psycopg.Connection, _context: Context) -> Iterator[Finding]:
    """Who gets our changes, and whose do we get?"""
    partners: dict[str, list[str]] = {}
    for kind, name in _rows(connection, "replication"):
        partners.setdefault(kind, []).append(name)
    for kind, names in partners.items():
        yield Finding("replication", Severity.WARNING, f"{kind} {_listed(names)}", _REPLICATION_HINTS[kind])


_REPLICATION_HINTS = {
    "standby": "Exclusive locks are replayed there: long queries on it may be cancelled",
    "slot": "It keeps the WAL of the migration until its reader has it: watch the server's disk",
    "logical slot": "DDL is not replicated: expand the subscriber first, and contract it last",
    "subscription": "Changes keep coming in while we migrate: expand here first, contract the publisher first",
}


def reason(error: Exception) -> str:
    """Why a question could not be asked, without DETAIL or a query's text."""
    if isinstance(error, psycopg.Error):
        said = error.diag.message_primary or type(error).__name__
        return f"{said} ({error.sqlstate})" if error.sqlstate else said
    return getattr(error, "strerror", None) or type(error).__name__


def _bad(rule: str, message: str, hint: str) -> Finding:
    return Finding(rule, Severity.ERROR, message, hint)


def _row(connection: psycopg.Connection, name: str, parameters: Mapping[str, object] | None = None) -> tuple[Any, ...]:
    return _rows(connection, name, parameters)[0]


def _rows(
    connection: psycopg.Connection, name: str, parameters: Mapping[str, object] | None = None
) -> list[tuple[Any, ...]]:
    return connection.cursor(row_factory=tuple_row).execute(query("guard", name), parameters).fetchall()


def _server_time(connection: psycopg.Connection) -> datetime:
    return datetime.fromtimestamp(_row(connection, "server_time")[0], UTC)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _mib(size: int) -> int:
    return size // 2**20


def _nearest(path: Path) -> Path:
    """The folder itself, or the nearest one above that is there: the state folder may not have been made yet."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), Path("/"))
