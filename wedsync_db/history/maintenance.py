"""What the history store remembers of the nights. A store that is lost stops nothing: `problems` says so."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, LiteralString, cast

import psycopg

from wedsync_db.history.best_effort import BestEffort, reached
from wedsync_db.installation import Installation
from wedsync_db.maintain.findings import Found
from wedsync_db.maintain.night import Night
from wedsync_db.maintain.plan import Action
from wedsync_db.maintain.work import Done
from wedsync_db.postgres.queries import query


@dataclass
class Memory(BestEffort):
    """What is remembered of one environment. `problems`: what could not be read or written, each once."""

    purpose = "maintenance"

    def took_before(self) -> Mapping[tuple[str, Action], float]:
        """The seconds that each table took when it was last done; empty where nothing is known."""
        rows = self.attempt(lambda connection: self._ask(connection, "took"))
        return {(table, cast("Action", action)): seconds for table, action, seconds in rows or ()}

    def last_findings(self) -> tuple[Found, ...] | None:
        """What was found the night before; None: nothing is remembered of any."""

        def read(connection: psycopg.Connection) -> list[tuple[Any, ...]] | None:
            known = self._ask(connection, "has_nights")[0][0]
            return self._ask(connection, "last_findings") if known else None

        rows = self.attempt(read)
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

        self.attempt(write)

    def _ask(self, connection: psycopg.Connection, name: LiteralString) -> list[tuple[Any, ...]]:
        return connection.execute(query("history_maintenance", name), {"environment": self.environment}).fetchall()

    def _write(self, connection: psycopg.Connection, name: LiteralString, values: Mapping[str, Any]) -> None:
        connection.execute(query("history_maintenance", name), {"environment": self.environment, **values})


def memory(installation: Installation, environment: str) -> AbstractContextManager[Memory]:
    """What is remembered, the store's server running for as long as the block lasts; nothing where there is none."""
    return reached(Memory(environment), installation)


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
