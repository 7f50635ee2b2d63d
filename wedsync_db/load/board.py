"""Where the generators of a run meet: two tables in the load test's own database, and locks that end with a session.

Both sides hold an advisory lock as long as they live: a coordinator that is killed, or cut off, thereby ends its
shards, and a shard that is killed is known to be gone.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from wedsync_db.errors import Inconclusive, Refused, WedsyncError
from wedsync_db.load.leftover import beside
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.shard_plan import from_plain, schedule_digest, to_plain
from wedsync_db.load.summary import Summary
from wedsync_db.load.worker import Progress
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session

_COORDINATOR, _FIRST_SHARD = 1, 1000
_KEYS = {"coordinator": _COORDINATOR, "first": _FIRST_SHARD}
_PATIENT = {"idle_session_timeout": "0", "idle_in_transaction_session_timeout": "0"}
_NOBODY = "`load-test --shards` starts the runs of its shards; nobody else has to."


@dataclass(frozen=True, slots=True)
class Seat:
    """One shard, as the coordinator sees it; `lives` says that its session is there."""

    number: int
    worker: str
    state: str
    progress: Progress
    problem: str | None
    lives: bool


class Board:
    """The coordinator's side of one run."""

    def __init__(self, connection: psycopg.Connection, ticket: str, shards: int) -> None:
        self._connection = connection
        self.ticket = ticket
        self.shards = shards

    def look(self) -> tuple[Seat, ...]:
        """Those that came so far."""
        rows = self._ask("look", **_KEYS).fetchall()
        return tuple(Seat(row[0], row[1], row[2], Progress(*row[3:7]), *row[7:]) for row in rows)

    def begin(self, lead: float) -> float:
        """Let all begin in so many seconds; how many there still are."""
        return float(self._ask("begin", lead=lead).fetchall()[0][0])

    def stop(self) -> None:
        """Let nobody begin anything more."""
        self._ask("stop")

    def results(self) -> list[Summary]:
        """What they measured, by number."""
        return [Summary.from_bytes(result) for (result,) in self._ask("results").fetchall()]

    def _ask(self, name: str, **values: object) -> psycopg.Cursor[Any]:
        """Ask the server.

        Raises:
            Inconclusive: it ended our session, and with it the run.
        """
        try:
            return self._connection.execute(query("load_shards", name), {"ticket": self.ticket, **values})
        except psycopg.OperationalError:
            raise Inconclusive(
                "the load test lost the session by which its shards know it", hint="Was the server stopped? Run again."
            ) from None


@contextmanager
def board(address: Address, scenario: Scenario, seed: int, shards: int) -> Iterator[Board]:
    """A new run in a load test's database, over when the block ends."""
    ticket = secrets.token_hex(8)
    with session(address, "load-shards", settings=_PATIENT) as connection:
        connection.execute(query("load_shards", "make"))
        connection.execute(query("load_shards", "hold"), {"key": _COORDINATOR})  # the database is ours alone
        made = Board(connection, ticket, shards)
        values = {
            "ticket": ticket,
            "seed": seed,
            "shards": shards,
            "scenario": Jsonb(to_plain(scenario)),
            "schedule": schedule_digest(scenario, seed),
        }
        connection.execute(query("load_shards", "open"), values)
        try:
            yield made
        finally:
            with suppress(WedsyncError, psycopg.Error):
                made.stop()
                connection.execute(
                    query("load_shards", "let_go"), {"key": _COORDINATOR}
                )  # now: there may be a next run


@dataclass(frozen=True, slots=True)
class Order:
    """What a run's shards do: each its own part."""

    scenario: Scenario
    seed: int
    shards: int
    schedule: str


class Place:
    """A shard's side."""

    def __init__(self, connection: psycopg.Connection, address: Address, ticket: str, number: int) -> None:
        self._connection = connection
        self._number = number
        self._values: Mapping[str, object] = {"ticket": ticket, "number": number, **_KEYS}
        self.address = address

    def order(self) -> Order | None:
        """What is to be done; None where nobody waits for it."""
        row = self._ask("order").fetchone()
        return Order(from_plain(row[2]), row[0], row[1], row[3]) if row else None

    def join(self, worker: str) -> None:
        """Be this shard.

        Raises:
            Refused: another one is, or was.
        """
        is_ours = self._ask("hold", key=_FIRST_SHARD + self._number).fetchall()[0][0]
        if not is_ours or not self._ask("join", worker=worker).fetchall():
            raise Refused(f"shard {self._number} of this load test is taken already", hint=_NOBODY)

    def ready(self) -> None:
        """Say that all connections are there."""
        self._ask("ready")

    def starts(self) -> tuple[float | None, float]:
        """When to begin, None while that is not known, and what the server's clock says now; both Unix time.

        Raises:
            Inconclusive: the test ended, or nobody waits for the result any more.
        """
        at, now, is_over, is_waited_for = self._ask("starts").fetchall()[0]
        if is_over or not is_waited_for:
            raise _over()
        return at, now

    def report(self, progress: Progress) -> bool:
        """Say how far it is; whether it goes on.

        Raises:
            Inconclusive: nobody waits for the result any more.
        """
        found = self._ask(
            "report",
            due=progress.due,
            answered=progress.answered,
            errors=progress.errors,
            p95_ms=progress.p95_ms,
        ).fetchall()
        is_over, is_waited_for = found[0]
        if not is_waited_for:
            raise _over()
        return not is_over

    def give(self, summary: Summary) -> None:
        """Hand in what was measured."""
        self._ask("give", result=summary.to_bytes())

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Let the coordinator know at once what ends this block before its time."""
        try:
            yield
        except BaseException as error:
            problem = error.message if isinstance(error, WedsyncError) else type(error).__name__
            with suppress(WedsyncError, psycopg.Error):
                self._ask("fail", problem=problem)
            raise

    def _ask(self, name: str, **values: object) -> psycopg.Cursor[Any]:
        """Ask the server.

        Raises:
            Inconclusive: it ended our session: the database was dropped, for one.
        """
        try:
            return self._connection.execute(query("load_shards", name), {**self._values, **values})
        except psycopg.OperationalError:
            raise _over() from None


@contextmanager
def place(target: Address, ticket: str, number: int) -> Iterator[Place]:
    """A shard's place in the load test that is under way beside this target.

    Raises:
        Refused: there is none with this ticket.
        Unreachable: no session could be opened.
    """
    for before in (False, True):  # where two schemas are compared there are two databases
        address = beside(target, before=before)
        if not _is_there(target, address.dbname):
            continue
        with session(address, "load-shard", settings=_PATIENT) as connection:
            found = Place(connection, address, ticket, number)
            has_shards = connection.execute(query("load_shards", "is_there")).fetchall()[0][0]
            if has_shards and found.order() is not None:
                yield found
                return
    raise Refused(f"beside {target.dbname} no load test with the ticket {ticket} is under way", hint=_NOBODY)


def _is_there(target: Address, dbname: str) -> bool:
    with session(target, "load-shard") as connection:
        return connection.execute(query("load_leftover", "mark"), {"name": dbname}).fetchone() is not None


def _over() -> Inconclusive:
    return Inconclusive(
        "the load test that this is a shard of is over",
        hint="The run load_test says how it ended, if it was not killed.",
    )
