"""What the history store remembers of the nights. A store that is lost stops nothing: `problems` says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString, cast

import psycopg

from wedsync_db.errors import WedsyncError
from wedsync_db.history.store import open_history
from wedsync_db.installation import Installation
from wedsync_db.maintain.findings import Found
from wedsync_db.maintain.night import Night
from wedsync_db.maintain.plan import Action
from wedsync_db.maintain.work import Done
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address


@dataclass
class Memory:
    """What is remembered of one environment. `problems`: what could not be read or written, each once."""

    environment: str
    address: Address | None
    problems: list[str] = field(default_factory=list)

    def took_before(self) -> Mapping[tuple[str, Action], float]:
        """The seconds that each table took when it was last done; empty where nothing is known."""
        rows = self._try(lambda connection: self._ask(connection, "took"))
        return {(table, cast("Action", action)): seconds for table, action, seconds in rows or ()}

    def last_findings(self) -> tuple[Found, ...] | None:
        """What was found the night before; None: nothing is remembered of any."""

        def read(connection: psycopg.Connection) -> list[tuple[Any, ...]] | None:
            known = self._ask(connection, "has_nights")[0][0]
            return self._ask(connection, "last_findings") if known else None

        rows = self._try(read)
        return None if rows is None else tuple(Found(*row) for row in rows)

    def keep(self, night: Night, summary: str) -> None:
        """Write the night down, all of it or nothing."""

        def write(connection: psycopg.Connection) -> None:
            with connection.transaction():
                self._write(connection, "keep_night", _night(night, summary))
                for done in night.done:
                    self._write(connection, "keep_work", {"started_at": night.started_at, **_work(done)})
                for found in night.findings.all:
                    values = {"rule": found.rule, "message": found.message, "at": night.started_at}
                    self._write(connection, "keep_finding", values)

        self._try(write)

    def _ask(self, connection: psycopg.Connection, name: LiteralString) -> list[tuple[Any, ...]]:
        return connection.execute(query("history_maintenance", name), {"environment": self.environment}).fetchall()

    def _write(self, connection: psycopg.Connection, name: LiteralString, values: Mapping[str, Any]) -> None:
        connection.execute(query("history_maintenance", name), {"environment": self.environment, **values})

    def _try(self, work: Callable[[psycopg.Connection], Any]) -> Any:
        if self.address is None:
            return None
        try:
            with open_history(self.address, "maintenance") as connection:
                return work(connection)
        except (WedsyncError, psycopg.Error) as error:
            self.missed(error)
            return None

    def missed(self, error: Exception) -> None:
        """Add to the problems that the store did not answer."""
        said = error.message if isinstance(error, WedsyncError) else type(error).__name__
        text = f"the history store does not answer: {said}"
        if text not in self.problems:
            self.problems.append(text)


@contextmanager
def memory(installation: Installation, environment: str) -> Iterator[Memory]:
    """What is remembered, the store's server running for as long as the block lasts; nothing where there is none."""
    found, stack = Memory(environment, None), ExitStack()
    try:
        found.address = stack.enter_context(installation.history())
    except (WedsyncError, psycopg.Error, OSError) as error:
        found.missed(error)
    try:
        yield found
    finally:
        try:
            stack.close()
        except (WedsyncError, psycopg.Error, OSError) as error:  # a server that does not stop
            found.missed(error)


def _night(night: Night, summary: str) -> Mapping[str, Any]:
    return {
        "started_at": night.started_at,
        "finished_at": night.finished_at,
        "outcome": night.outcome,
        "backup_id": night.backup_id,
        "summary": summary,
    }


def _work(done: Done) -> Mapping[str, Any]:
    return {
        "table": done.table,
        "action": done.action,
        "outcome": done.outcome,
        "seconds": done.seconds,
        "dead_before": done.before and done.before.dead_rows,
        "dead_after": done.after and done.after.dead_rows,
        "xid_age_before": done.before and done.before.xid_age,
        "xid_age_after": done.after and done.after.xid_age,
        "detail": done.detail,
    }
