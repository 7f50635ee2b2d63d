"""The registry of backups in the history store: an index of what lies in the folders, and made again from there.

Nobody's backup fails because of it. Everything here that cannot be written is said in `problems` and left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from wedsync_db.backup.proven import proven
from wedsync_db.history.best_effort import BestEffort, reached
from wedsync_db.installation import Installation
from wedsync_db.model import Backup
from wedsync_db.postgres.queries import query


@dataclass(frozen=True, slots=True)
class Entry:
    """One backup as the registry has it. Sizes are bytes, durations seconds; None: not yet, or not known.

    `state` is started, complete, verified, restored or failed.
    """

    id: str
    state: str
    created_at: datetime
    finished_at: datetime | None
    verified_at: datetime | None
    drilled_at: datetime | None
    dump_seconds: float | None
    recovery_seconds: float | None
    data_age_seconds: float | None
    stored_bytes: int | None
    database_bytes: int | None
    relations: int | None
    rows: int | None
    key_id: str | None
    location: str | None
    problem: str


def entry_of(backup: Backup) -> Entry:
    """What manifest and notes say of a finished backup."""
    held, known = backup.manifest, proven(backup)
    verified = known.verified if known.verified and known.verified.good else None
    drilled = known.drilled if known.drilled and known.drilled.good else None
    return Entry(
        id=backup.id,
        state=known.progress,
        created_at=held.created_at,
        finished_at=held.created_at + timedelta(seconds=held.seconds),
        verified_at=verified.at if verified else None,
        drilled_at=drilled.at if drilled else None,
        dump_seconds=held.seconds,
        recovery_seconds=drilled.seconds if drilled else None,
        data_age_seconds=drilled.data_age if drilled else None,
        stored_bytes=sum(size for size, _ in held.files.values()),
        database_bytes=held.database_bytes,
        relations=len(held.relations),
        rows=sum(one.rows for one in held.relations),
        key_id=held.encryption.key_id if held.encryption else None,
        location=str(backup.path),
        problem=known.problem,
    )


@dataclass
class Registry(BestEffort):
    """The registry for one environment. `problems`: what could not be written, each once."""

    purpose = "backups"
    trouble = "the registry of backups could not be written"

    def begin(self, backup_id: str, at: datetime) -> None:
        """Say that a backup is being made."""
        self._write([("begin", {"id": backup_id, "at": at})])

    def fail(self, backup_id: str, problem: str) -> None:
        """Say that it could not be made."""
        self._write([("fail", {"id": backup_id, "problem": problem})])

    def delete(self, backup_id: str, at: datetime, reason: str) -> None:
        """Say that a backup was deleted, and why."""
        self._write([("delete", {"id": backup_id, "at": at, "reason": reason})])

    def drill(self, values: Mapping[str, Any]) -> None:
        """Add a drill: backup_id, at, outcome, recovery_seconds, data_age_seconds, problem."""
        self._write([("drill", values)])

    def rebuild(self, backups: Sequence[Backup], in_making: Collection[str] = ()) -> None:
        """Make the registry what the folder is: these backups, and those of `in_making` that somebody is at."""
        entries = [entry_of(backup) for backup in backups]
        known = [entry.id for entry in entries]
        self._write(
            [
                *(("put", asdict(entry)) for entry in entries),
                ("interrupted", {"known": [*known, *in_making]}),
                ("gone", {"known": known}),
            ]
        )

    def listed(self) -> tuple[Entry, ...]:
        """The environment's backups, oldest first; empty where the store does not answer."""

        def read(connection: psycopg.Connection) -> tuple[Entry, ...]:
            rows = connection.execute(query("backups_registry", "listed"), {"environment": self.environment})
            return tuple(Entry(*row) for row in rows)

        return self.attempt(read) or ()

    def _write(self, statements: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        def write(connection: psycopg.Connection) -> None:
            with connection.transaction():
                for name, values in statements:
                    connection.execute(query("backups_registry", name), {"environment": self.environment, **values})

        self.attempt(write)


def registry(installation: Installation, environment: str) -> AbstractContextManager[Registry]:
    """The registry, its server running for as long as the block lasts; one that takes nothing where there is none."""
    return reached(Registry(environment), installation)
