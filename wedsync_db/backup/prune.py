"""Deletes the backups that retention lets go, and none that anybody may need."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from wedsync_db.backup.proven import stored
from wedsync_db.backup.retention import Verdict, judge
from wedsync_db.backup.store import list_backups, remove
from wedsync_db.errors import WedsyncError
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import RetentionSettings


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was decided on each backup, oldest first, which of them were deleted, and what went wrong."""

    verdicts: tuple[Verdict, ...]
    deleted: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def pinned(address: Address) -> frozenset[str] | None:
    """The backups that an open deployment of this target may need; None: not known, so all of them may be.

    Open is one that runs, or that waits for a person and was not followed by a good one.
    """
    try:
        with session(address, "prune") as connection:
            if not connection.execute(query("backups_registry", "has_journal")).fetchall()[0][0]:
                return frozenset()
            return frozenset(name for (name,) in connection.execute(query("backups_registry", "pinned")))
    except (WedsyncError, psycopg.Error):
        return None


def prune(
    folder: Path,
    settings: RetentionSettings,
    *,
    now: datetime,
    pins: Collection[str] | None,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Pruned:
    """Delete what `judge` lets go. One that somebody is reading stays until another time; `dry_run` deletes nothing.

    Args:
        folder: the environment's backups.
        settings: its retention.
        now: what time it is.
        pins: as `pinned` says; None keeps everything.
        dry_run: only say what would go.
        say: gets a line for each that goes, and for each folder that is no backup.
    """
    problems: list[str] = []
    backups = {one.id: one for one in list_backups(folder, say=problems.append)}
    verdicts = judge([stored(one) for one in backups.values()], settings, now=now, pinned=pins)
    deleted = []
    for verdict in (v for v in verdicts if not v.stays and not dry_run):
        try:
            if remove(backups[verdict.id]):
                deleted.append(verdict.id)
                say(f"deleted backup {verdict.id}: {verdict.reason}")
            else:
                problems.append(f"backup {verdict.id} stays for now: somebody reads it")
        except OSError as error:
            problems.append(f"backup {verdict.id} could not be deleted: {error.strerror}")
    return Pruned(verdicts, tuple(deleted), tuple(problems))
