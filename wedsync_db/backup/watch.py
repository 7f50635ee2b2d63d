"""What a backup looks at while it runs: how far it is, and whether anybody suffers from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psycopg

from wedsync_db.errors import BackupError
from wedsync_db.postgres.queries import query

# how long readers may stand behind DDL that waits for the dump: longer than our own migrations' lock_timeout (0.5 s)
PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Weight:
    """One table's part of the work: its bytes with TOAST, and the planner's number of rows (-1: never analyzed).

    `blocks` are those of the table itself.
    """

    relation: str
    oid: int
    bytes: int
    rows: float
    blocks: int = 0


@dataclass(frozen=True, slots=True)
class Copied:
    """How far the dump is: tables being read (oid → rows read so far), and tables that were seen and are done."""

    current: Mapping[int, int]
    done: frozenset[int] = frozenset()

    def then(self, current: Mapping[int, int]) -> Copied:
        """After another look: what was being read and is no more is done."""
        return Copied(current, (self.done | self.current.keys()) - current.keys())


def weigh(connection: psycopg.Connection, relations: Iterable[str]) -> tuple[Weight, ...]:
    """Every relation's weight, the heaviest first."""
    rows = connection.execute(query("backup", "sizes"), (list(relations),)).fetchall()
    return tuple(sorted((Weight(*row) for row in rows), key=lambda one: (-one.bytes, one.relation)))


def look(connection: psycopg.Connection, application_name: str, before: Copied) -> Copied:
    """What the dump's sessions are reading now."""
    return before.then(dict(connection.execute(query("backup", "copying"), (application_name,)).fetchall()))


def share_copied(weights: Iterable[Weight], copied: Copied) -> float:
    """The share of the bytes that the dump has read, 0 to 1. Rows of a table never analyzed count half once begun."""
    total = read = 0.0
    for one in weights:
        total += one.bytes
        if one.oid in copied.done:
            read += one.bytes
        elif one.oid in copied.current:
            read += one.bytes * (min(1.0, copied.current[one.oid] / one.rows) if one.rows > 0 else 0.5)
    return read / total if total else 0.0


def require_no_queue(connection: psycopg.Connection, application_name: str) -> None:
    """Make sure that nobody stands behind DDL that waits for this backup, for longer than PATIENCE_SECONDS.

    Raises:
        BackupError: somebody does; naming who wants the lock.
    """
    row = connection.execute(query("backup", "queue"), (application_name,)).fetchone()
    if row is None or row[3] < PATIENCE_SECONDS:
        return
    pid, who, user, seconds = row
    raise BackupError(
        f"gave way: pid {pid} ({who or 'no application name'}, user {user}) waits for a lock that the backup holds, and"
        f" others have been waiting behind it for {seconds:.1f} s",
        hint="Let that schema change finish, or cancel it, then back up again. DDL needs a lock_timeout.",
    )
