"""One migration to be reverted, and what both ways of doing it share: stopping at a risk, and writing it down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from wedsync_db.errors import PersonNeeded
from wedsync_db.migrate import journal
from wedsync_db.migrate.run import Run
from wedsync_db.model import Migration, MigrationProof, Script


@dataclass(frozen=True, slots=True)
class Revert:
    """The migration, its script, its proof, and whether a person accepted what reverting it may lose."""

    migration: Migration
    script: Script
    proof: MigrationProof | None
    accept_loss: bool = False

    def refuse(self, run: Run, risks: Iterable[str]) -> None:
        """Stop at any risk, or say it where a person accepted it.

        Raises:
            PersonNeeded: there is one.
        """
        found = tuple(risks)
        if found and not self.accept_loss:
            raise person_needed(self.migration.id, found)
        for risk in found:
            run.say(f"{self.migration.id}: accepted: {risk}")


def person_needed(migration_id: str, risks: tuple[str, ...]) -> PersonNeeded:
    """The error that stops at this migration."""
    more = f" (and {len(risks) - 1} more)" if len(risks) > 1 else ""
    return PersonNeeded(
        f"{migration_id} was not reverted: {risks[0]}{more}",
        hint="Keep it and mend it with a new migration, or `revert` and accept the loss.",
        at_risk=risks,
    )


def note(connection: psycopg.Connection, run: Run, revert: Revert) -> None:
    """Write the revert into the journal, in the transaction that commits it."""
    name, sha256 = revert.migration.id, revert.script.sha256
    journal.start_step(connection, run.deployment, name, direction="revert", statement=None, sql_sha256=sha256)
    journal.finish_step(connection, run.deployment, name, direction="revert", statement=None)
