"""Deployments in the history store, for the marks on every plot. The journal in the target is the truth.

Nobody's deployment fails or waits because of it. A store that is not there yet is not made for it either: that takes
seconds, and the target is held meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, LiteralString

import psycopg

from wedsync_db.history.best_effort import BestEffort, reached
from wedsync_db.installation import Installation
from wedsync_db.postgres.queries import query

Ending = Literal["done", "rolled_back", "person_needed", "failed", "reverted"]
_FILE = "history_deployments"


@dataclass(frozen=True, slots=True)
class Deployed:
    """One deployment as the store has it. `outcome` is an `Ending`, or running."""

    id: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    migrations: tuple[str, ...] = ()
    run_url: str | None = None
    report_path: str | None = None


@dataclass
class Deployments(BestEffort):
    """The deployments of one environment. `problems`: what could not be written, each once."""

    purpose = "deployments"
    trouble = "the history store does not know of this deployment"

    def begin(self, deployment_id: str, at: datetime, migrations: Sequence[str], run_url: str | None = None) -> None:
        """Say that a deployment was begun."""
        self._write(
            "begin", {"id": deployment_id, "started_at": at, "migrations": list(migrations), "run_url": run_url}
        )

    def end(
        self,
        deployment_id: str,
        outcome: Ending,
        *,
        started_at: datetime,
        finished_at: datetime,
        migrations: Sequence[str] = (),
        run_url: str | None = None,
        report_path: str | None = None,
    ) -> None:
        """Say how it ended; its beginning may not have been written."""
        self._write(
            "end",
            {
                "id": deployment_id,
                "started_at": started_at,
                "finished_at": finished_at,
                "outcome": outcome,
                "migrations": list(migrations),
                "run_url": run_url,
                "report_path": report_path,
            },
        )

    def needs_person(self, at: datetime) -> None:
        """Say that what was interrupted could neither be finished nor undone by itself."""
        self._write("needs_person", {"finished_at": at})

    def _write(self, name: LiteralString, values: dict[str, Any]) -> None:
        def write(connection: psycopg.Connection) -> None:
            connection.execute(query(_FILE, name), {"environment": self.environment, **values})

        self.attempt(write)


def deployments(installation: Installation, environment: str) -> AbstractContextManager[Deployments]:
    """Where deployments are noted, the store's server running as long as the block lasts; nowhere if there is none."""
    return reached(Deployments(environment), installation, create=False)


def between(connection: psycopg.Connection, environment: str, since: datetime, until: datetime) -> tuple[Deployed, ...]:
    """Those that ran at any time between two, oldest first."""
    rows = connection.execute(
        query(_FILE, "between"), {"environment": environment, "since": since, "until": until}
    ).fetchall()
    return tuple(_deployed(row) for row in rows)


def _deployed(row: Sequence[Any]) -> Deployed:
    deployment_id, started, finished, outcome, migrations, *rest = row
    return Deployed(
        deployment_id,
        started.astimezone(UTC),
        finished.astimezone(UTC) if finished else None,
        outcome,
        tuple(migrations),
        *rest,
    )
