"""Who decided what and why: guards that were overridden, rungs of the ladder that were taken. Kept in the target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg

from wedsync_db.migrate.acquire import Say
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
