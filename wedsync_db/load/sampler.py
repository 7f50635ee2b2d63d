"""Look at the server while a load test runs: ten times a second at its sessions, once at its counters and its pooler.

It has one session, in another database of the same server, so that nothing it does is among what it counts. It never
stops a run: a look that takes too long, or a session that is ended, is a sample that is missing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import LiteralString

import psycopg

from wedsync_db.errors import Unreachable
from wedsync_db.load.observed import COUNTERS, STEP_SECONDS, Counted, Observed, Pooled, Statement
from wedsync_db.load.scripts import as_sent
from wedsync_db.load.seen import (
    MOST_STATEMENTS,
    TEXTS,
    Group,
    Sample,
    Texts,
    hidden_note,
    pooled_of,
    seconds_of,
    slow_note,
    statements_of,
    still_answering,
    wait_of,
)
from wedsync_db.monitor.console import asking
from wedsync_db.monitor.statements import growth, read_statements, texts
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, connect

_LONGEST_LOOK_MS = 1_000
_COUNTERS_EVERY = round(1 / STEP_SECONDS)
_PATIENCE_SECONDS = 5.0  # for a server that does not answer at the end
_CHECKPOINTER_SINCE = 170_000


class Sampler:
    """What was seen of a database so far; made by `sampling`."""

    def __init__(self, connection: psycopg.Connection, name: str, prelude: str) -> None:
        row = connection.execute(query("load_observed", "database"), {"name": name}).fetchone()
        if row is None:
            raise Unreachable(f"there is no database {name} to look at")
        self._connection, self._name, self._oid = connection, name, int(row[0])
        new = connection.info.server_version >= _CHECKPOINTER_SINCE
        self._counters: LiteralString = "counters" if new else "counters_to_16"
        self._role = connection.info.user
        self._texts = Texts(as_sent(prelude))
        self._samples: list[Sample] = []
        self._unanswered: list[int] = []
        self._counted: list[Counted] = []
        self._pooled: list[Pooled] = []
        self._statements: tuple[Statement, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._before = read_statements(connection, datetime.now(UTC), name)
        self._ended = threading.Event()
        self._begun, self._until = time.monotonic(), 0.0
        self._threads: list[threading.Thread] = []
        self._start(self._look_on)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def ask(self, pooler: Address) -> None:
        """Look at this pooler, too, once a second; the address is the database as its clients have it."""
        self._start(lambda: self._ask_on(pooler))

    def stop(self) -> None:
        """Look no more. A server that does not answer is not waited for; its session ends when it does."""
        if not self._ended.is_set():
            self._until = time.monotonic()
            self._ended.set()
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)

    def observed(self, began: float | None = None) -> Observed:
        """Stop, and tell what was seen.

        Args:
            began: When the run's first arrival was, as Unix time; or else when the sampler itself began.
        """
        self.stop()
        since = self._begun if began is None else began - time.time() + time.monotonic()
        samples, unanswered = list(self._samples), list(self._unanswered)
        turns = int((self._until - self._begun) / STEP_SECONDS) + 1
        return Observed(
            seconds_of(samples, turns, self._begun - since, unanswered),
            tuple(replace(one, at=one.at - since) for one in list(self._counted)),
            tuple(replace(one, at=one.at - since) for one in list(self._pooled)),
            self._statements or self._texts.top(),
            not self._statements,
            (*self._notes, *slow_note(len(unanswered), turns), *self._silence(), *hidden_note(samples, self._role)),
        )

    def _silence(self) -> tuple[str, ...]:
        return ("the pooler does not answer",) if len(self._threads) > 1 and not self._pooled else ()

    def _look_on(self) -> None:
        """Until the end, or until the session is: then the rest of the samples is missing."""
        with self._connection:
            for number in self._turns(STEP_SECONDS):
                asked = time.monotonic() - self._begun
                with suppress(psycopg.Error):
                    if number % _COUNTERS_EVERY == 0 or self._is_behind(number):
                        self._count()
                    self._samples.append(self._sample(number))
                if self._connection.closed:
                    return
                answered = self._samples and self._samples[-1].number == number
                waited = (asked, time.monotonic() - self._begun)
                self._unanswered += still_answering(number, *waited, answered=bool(answered))
            with suppress(psycopg.Error):
                self._count()
            self._compare_statements()

    def _compare_statements(self) -> None:
        after = read_statements(self._connection, datetime.now(UTC), self._name)
        self._notes = after.problems
        grown = growth(self._before, after, MOST_STATEMENTS)
        if grown:
            self._statements = statements_of(grown, texts(self._connection, grown.by_statement, self._name))

    def _turns(self, step: float) -> Iterator[int]:
        """The number of each turn when it is due; those that are over by then are left out."""
        number = 0
        while not self._ended.wait(max(0.0, self._begun + number * step - time.monotonic())):
            yield number
            number = max(number + 1, int((time.monotonic() - self._begun) / step))

    def _is_behind(self, number: int) -> bool:
        """Whether the counters' own turn was left out."""
        newest = self._counted[-1].at if self._counted else self._begun
        return self._begun + number * STEP_SECONDS - newest >= 1.0

    def _sample(self, number: int) -> Sample:
        asked = {"database": self._oid, "texts": TEXTS}
        rows = self._connection.execute(query("load_observed", "sessions"), asked).fetchall()
        groups = tuple(Group(wait_of(state, kind, event), many) for state, kind, event, many, _ in rows)
        for group, (*_, some) in zip(groups, rows, strict=True):
            self._texts.meet(some, group.sessions)
        return Sample(number, groups)

    def _count(self) -> None:
        row = self._connection.execute(query("load_observed", self._counters), {"database": self._oid}).fetchone()
        if row is not None and len(row) == len(COUNTERS) and None not in row:
            self._counted.append(Counted(time.monotonic(), tuple(row)))

    def _ask_on(self, pooler: Address) -> None:
        with asking(pooler) as ask:
            for _ in self._turns(1.0):
                rows = ask("pools")
                if rows is not None:
                    self._pooled.append(pooled_of(rows, pooler.dbname, time.monotonic()))


@contextmanager
def sampling(address: Address, *, through: Address, prelude: str = "") -> Iterator[Sampler]:
    """Look at this database from now on, until the block ends or it is asked what was seen.

    Args:
        address: The database under load.
        through: Where to log in: another database of the same server.
        prelude: What stands before each script.

    Raises:
        Unreachable: the server does not let us in.
    """
    with ExitStack() as stack:
        # the login itself may see what its own sessions do, the role it acts as may not
        login = replace(through, role=None)
        connection = connect(
            login, "load-sampler", lock_timeout_ms=_LONGEST_LOOK_MS, statement_timeout_ms=_LONGEST_LOOK_MS
        )
        stack.callback(connection.close)
        connection.prepare_threshold = 0  # planned once
        sampler = Sampler(connection, address.dbname, prelude)
        stack.pop_all()  # its thread closes it
        try:
            yield sampler
        finally:
            sampler.stop()
