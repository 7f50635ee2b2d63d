"""Who decided what and why: guards that were overridden, rungs of the ladder that were taken. Kept in the target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg

from wedsync_db.migrate import journal, ledger
from wedsync_db.migrate.acquire import Say
from wedsync_db.model import Deployment, Plan
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.queries import query

Kind = Literal["override", "rung"]
UNATTENDED = "nobody: it loses nothing"
_ACCEPTED = ": accepted: "  # how an accepted risk is said, wherever that is


@dataclass(frozen=True, slots=True)
class Recorded:
    """One decision as it stands in the target. `at_risk`: counts and names, never a row's value."""

    at: datetime
    kind: str
    what: str
    reason: str
    decided_by: str
    deployment_id: str | None
    at_risk: tuple[str, ...]


def record(
    connection: psycopg.Connection,
    kind: Kind,
    what: str,
    *,
    reason: str,
    by: str,
    deployment: str | None = None,
    at_risk: Sequence[str] = (),
) -> int:
    """Write a decision down and return its number."""
    values = {
        "kind": kind,
        "what": what,
        "reason": reason,
        "decided_by": by,
        "deployment": deployment,
        "at_risk": list(at_risk),
    }
    return int(connection.execute(query("decisions", "record"), values).fetchall()[0][0])


def begin_rung(
    connection: psycopg.Connection, what: str, *, reason: str, by: str, backup_id: str | None = None
) -> tuple[Deployment, int]:
    """Open a deployment without a plan, which fences what a person does to the target, and write down who and why.

    The second is the decision's number. Call it under the target lock; should it be interrupted, `recover` closes it.

    Raises:
        Refused: an earlier deployment of this database is unfinished.
    """
    ledger.install(connection)  # an earlier version may have deployed here last
    with connection.transaction():
        deployment = journal.begin(
            connection,
            plan=Plan((), ()),
            atomic="migration",
            fingerprint_before=fingerprint.take(connection).digest,
            backup_id=backup_id,
            runner=by,
            rehearsal=None,
        )
        number = record(connection, "rung", what, reason=reason, by=by, deployment=deployment.id)
    return deployment, number


def add_risks(connection: psycopg.Connection, number: int, at_risk: Sequence[str]) -> None:
    """Add what turned out to be at risk."""
    connection.execute(query("decisions", "add_risks"), {"number": number, "at_risk": list(at_risk)})


def decisions(connection: psycopg.Connection) -> tuple[Recorded, ...]:
    """All of this database, oldest first."""
    rows = connection.execute(query("decisions", "decisions")).fetchall()
    return tuple(
        Recorded(at, kind, what, reason, by, deployment, tuple(at_risk))
        for at, kind, what, reason, by, deployment, at_risk in rows
    )


@contextmanager
def listening(say: Say) -> Iterator[tuple[Say, list[str]]]:
    """A `say` that also keeps the risks that are said to be accepted."""
    accepted: list[str] = []

    def hear(line: str) -> None:
        if _ACCEPTED in line:
            accepted.append(line.replace(_ACCEPTED, ": "))
        say(line)

    yield hear, accepted
