"""What a load test may do at the most, and when it is not begun at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg

from wedsync_db import setting_values as values
from wedsync_db.errors import Refused, UsageError
from wedsync_db.guard.freeze import first_freeze
from wedsync_db.guard.window import at
from wedsync_db.load.schedule import Phase, highest_rate
from wedsync_db.postgres.disk import data_room
from wedsync_db.postgres.queries import query
from wedsync_db.settings import Environment
from wedsync_db.toml_tables import read_table

# beyond these nobody means it, whatever the scenario says
MOST_CONNECTIONS, _MOST_RATE, _MOST_SECONDS = 1000, 50_000, 24 * 3600
_MIB = 1 << 20
_BASE_MB, _TENANT_MB = 500, 1  # twice what the shipped rows and their WAL take, and what the runs write besides


@dataclass(frozen=True, slots=True)
class Safety:
    """The limits of a load test.

    Of connections to the server, arrivals a second and seconds a run; a scenario that is beyond them is refused. A run
    ends when more than `stop_at_error_rate` of the answers are errors, or a standby is more than `stop_at_lag_seconds`
    behind, for `stop_after_seconds`. `disk_mb` have to be free on the server; without it, by the number of tenants.
    """

    most_connections: int = 200
    most_rate: int = 12_000
    most_seconds: int = 3600
    stop_at_error_rate: float = 0.05
    stop_at_lag_seconds: float = 10.0
    stop_after_seconds: int = 10
    disk_mb: int | None = None

    def needed_mb(self, tenants: int) -> int:
        """Megabytes that have to be free on the server, for rows, indexes and WAL."""
        return self.disk_mb if self.disk_mb is not None else _BASE_MB + _TENANT_MB * tenants


_READERS: Mapping[str, values.Reader] = {
    "most_connections": values.whole(1, MOST_CONNECTIONS),
    "most_rate": values.whole(1, _MOST_RATE),
    "most_seconds": values.whole(1, _MOST_SECONDS),
    "stop_at_error_rate": values.number(),
    "stop_at_lag_seconds": values.number(),
    "stop_after_seconds": values.whole(1, 600),
    "disk_mb": values.whole(0, 1_000_000),
}


def read_safety(raw: object, where: str) -> Safety:
    """The table [safety] of a scenario.

    Raises:
        UsageError: a key or a value in it is wrong.
    """
    found = Safety(**read_table(raw, _READERS, where))
    if found.stop_at_error_rate > 1:
        raise UsageError(f"{where}.stop_at_error_rate is a share of one", hint="0.05 is one answer of twenty.")
    return found


def require_within(safety: Safety, pool: int, phases: Sequence[Phase], where: str) -> None:
    """Make sure that a scenario keeps to its own limits.

    Raises:
        UsageError: it does not; the hint says which limit to change.
    """
    rate = highest_rate(phases)
    seconds = math.fsum(phase.seconds for phase in phases)
    for name, what, found, limit in (
        ("most_connections", "connections", pool, safety.most_connections),
        ("most_rate", "arrivals a second", rate, safety.most_rate),
        ("most_seconds", "seconds a run", seconds, safety.most_seconds),
    ):
        if found > limit:
            raise UsageError(
                f"{where}: {found:,.0f} {what} are more than [safety] allows, {limit:,}",
                hint=f"Ask for less, or, where its server may be loaded so: {name} = {math.ceil(found)} in [safety].",
            )


def require_confirmed(environment: Environment, confirm: str | None) -> None:
    """Make sure that somebody typed the name of an environment whose deployments have to be approved.

    Raises:
        UsageError: another name was typed.
        Refused: none was.
    """
    if confirm is not None and confirm != environment.name:
        raise UsageError(
            f"--confirm names another environment than {environment.name}; nothing was touched",
            hint=f"To confirm it for {environment.name}: --confirm {environment.name}",
        )
    if environment.approval and confirm is None:
        raise Refused(
            f"{environment.name} asks for approval, and its server will be loaded until it hurts",
            hint=f"Each time, after asking whoever depends on it: --confirm {environment.name}",
        )


def require_no_freeze(
    environment: Environment, now: datetime, seconds: float, say: Callable[[str], None] = lambda _: None
) -> None:
    """Make sure that no freeze is on, or begins before a load test of so many seconds is over.

    Raises:
        Refused: it is, and the environment's policy is to refuse.
    """
    guard = environment.guard
    if guard.freeze == "off":
        return
    zone = ZoneInfo(guard.zone)
    end = now + timedelta(seconds=seconds)
    found = first_freeze(now, end, zone, guard.freeze_from_friday_hour)
    if found is None:
        return
    if found.start <= now:
        text = f"nobody runs load tests on a weekend: {environment.name} is frozen since {at(found.start, zone)}"
    else:
        text = f"the load test could last until {at(end, zone)}, into the freeze from {at(found.start, zone)}"
    if guard.freeze == "refuse":
        raise Refused(text, hint=f"It ends on {at(found.end, zone)}.")
    say(f"warning: {text}")


def require_disk(connection: psycopg.Connection, needed_mb: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Make sure that the server has room for the rows, where it can be looked at from here.

    Raises:
        Refused: it has not.
    """
    room, why = data_room(connection)
    if room is None:
        say(f"room for {needed_mb:,} MB of rows is not checked: {why}")
    elif room.free < needed_mb * _MIB:
        raise Refused(
            f"the server has {room.free // _MIB:,} MB free, the load test's rows need {needed_mb:,}",
            hint="Make room, or take fewer tenants; disk_mb in [safety] says what it takes where that is known better.",
        )


def standby_lag(connection: psycopg.Connection) -> float:
    """By how many seconds the furthest standby is behind; 0 where there is none, or this role is not told."""
    row = connection.execute(query("load_safety", "lag"), {}).fetchone()
    return row[0] if row and row[0] is not None else 0.0


def warn_of_hidden_standbys(connection: psycopg.Connection, say: Callable[[str], None]) -> None:
    """Say when there is a standby of which this role is not told how far behind it is: no lag ends a run then."""
    (hidden,) = connection.execute(query("load_safety", "hidden_standbys"), {}).fetchall()[0]
    if hidden:
        user = connection.info.user
        say(f"how far {hidden} standby is behind is not shown, and ends no run: grant pg_read_all_stats to {user}")
