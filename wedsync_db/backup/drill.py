"""A drill: restore a backup into a server of our own, compare all of it with the manifest, measure how long it takes.

It ends as restored, failed, or inconclusive: a server that cannot hold the database says nothing about the backup.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import psycopg

from wedsync_db.backup.keys import Key, known_keys
from wedsync_db.backup.nightly import recorded
from wedsync_db.backup.proven import Proof, note
from wedsync_db.backup.readable import readable
from wedsync_db.backup.restore import restore_alone
from wedsync_db.backup.verify import verify_content
from wedsync_db.errors import BackupError, Inconclusive, Refused, WedsyncError
from wedsync_db.installation import Installation
from wedsync_db.model import Backup
from wedsync_db.postgres.cluster import scratch, sweep_scratch
from wedsync_db.postgres.connect_errors import LOST_HINT
from wedsync_db.postgres.pg_ctl import DISK_FULL
from wedsync_db.postgres.session import Address
from wedsync_db.report.markdown import size
from wedsync_db.settings import Environment

Outcome = Literal["restored", "failed", "inconclusive"]
Say = Callable[[str], None]
_ROOM = 1.3  # times the database's size: sorts for indexes, and the write-ahead log
_SERVER = {"autovacuum": "off", "max_wal_size": "4GB"}
# SQLSTATEs: disk full, out of memory; a locale that is not installed, as CREATE DATABASE says it
_NO_PLACE = frozenset({DISK_FULL, "53200", "42809", "22023"})
_NOT_HERE = re.compile(
    "ICU is not supported|collation .* does not exist"
    "|could not (?:open collator|create locale|access file|load library)"
)


@dataclass(frozen=True, slots=True)
class Drilled:
    """How a drill ended, with two durations in seconds.

    `recovery`: until all was restored and compared (RTO); None where it came not so far. `data_age`: from the snapshot
    to the drill's start, which is what would be lost (RPO).
    """

    backup: str
    outcome: Outcome
    at: datetime
    data_age: float
    recovery: float | None = None
    relations: int = 0
    rows: int = 0
    problem: str = ""
    hint: str = ""
    notes: tuple[str, ...] = ()


def drill_environment(
    installation: Installation,
    environment: Environment,
    backup: Backup,
    *,
    clock: Callable[[], datetime],
    address: Address | None = None,
    say: Say = lambda _: None,
    between: Callable[[Address], None] = lambda _: None,
) -> Drilled:
    """Drill a backup of an environment, and write down how it ended: beside it, in the registry, and in the target.

    The target is only told where `address` says where it is; the drill itself does not need it.

    Raises:
        Refused: the environment does not allow its data to be copied to this machine.
        UsageError: the variable with the key of its backups is missing or wrong.
    """
    if not environment.allow_data_copy:
        raise Refused(
            f"{environment.name} does not allow its data to be copied to this machine, so no backup of it can be tried",
            hint="Run this where the data may be, and set allow_data_copy = true in environments.toml there.",
        )
    keys = known_keys(environment, installation.environ) if backup.manifest.encryption else ()
    with recorded(installation, environment, address) as records:
        parent = installation.home.ensure().scratch
        found = drill(backup, keys, parent, clock=clock, jobs=environment.backup_jobs, say=say, between=between)
        if found.outcome != "inconclusive":
            proof = Proof(found.outcome == "restored", clock(), found.problem, found.recovery, found.data_age)
            note(backup, "drilled", proof)
        records.drill(
            {
                "backup_id": backup.id,
                "at": found.at,
                "outcome": found.outcome,
                "recovery_seconds": found.recovery,
                "data_age_seconds": found.data_age,
                "problem": found.problem,
            }
        )
    for problem in records.problems:
        say(problem)
    return found


def drill(
    backup: Backup,
    keys: Sequence[Key],
    parent: Path,
    *,
    clock: Callable[[], datetime],
    timer: Callable[[], float] = time.monotonic,
    jobs: int = 2,
    say: Say = lambda _: None,
    between: Callable[[Address], None] = lambda _: None,
) -> Drilled:
    """Restore a backup into a scratch server below `parent`, and compare it; whatever happens is in the answer.

    Args:
        backup: which one.
        keys: with which it may be encrypted.
        parent: the folder for the server; what killed drills left there is removed first.
        clock: when it is.
        timer: seconds, to measure with.
        jobs: tables restored, and tables compared, at the same time.
        say: gets a line for each step, and for what cannot be compared.
        between: gets the copy before it is compared; for tests that change something in it.
    """
    at, begin = clock(), timer()
    age = (at - backup.manifest.created_at).total_seconds()
    notes: list[str] = []

    def tell(line: str) -> None:
        notes.append(line)
        say(line)

    try:
        _restore_and_compare(backup, keys, parent, jobs, say, tell, between)
    except (WedsyncError, psycopg.Error, OSError) as error:
        outcome, problem, hint = judged(error)
        say(f"drill of {backup.id}: {outcome}: {problem}")
        return Drilled(backup.id, outcome, at, age, problem=problem, hint=hint, notes=tuple(notes))
    held = backup.manifest.relations
    rows = sum(one.rows for one in held)
    return Drilled(backup.id, "restored", at, age, timer() - begin, len(held), rows, notes=tuple(notes))


def judged(error: Exception) -> tuple[Outcome, str, str]:
    """What an error in a drill means, its text and its hint: failed only where it is the backup that is no good."""
    if not isinstance(error, WedsyncError):
        return "inconclusive", f"the scratch server was lost: {type(error).__name__}", ""
    elsewhere = error.sqlstate in _NO_PLACE or _NOT_HERE.search(error.message) or error.hint == LOST_HINT
    bad = isinstance(error, BackupError) and not elsewhere
    return "failed" if bad else "inconclusive", error.message, error.hint


def _restore_and_compare(
    backup: Backup,
    keys: Sequence[Key],
    parent: Path,
    jobs: int,
    say: Say,
    tell: Say,
    between: Callable[[Address], None],
) -> None:
    server = backup.manifest.server
    sweep_scratch(parent)
    _require_room(backup, parent)
    say(f"drill of backup {backup.id} on a scratch server of PostgreSQL {server.major}")
    with readable(backup, keys, parent, jobs=jobs) as plain:
        with scratch(server.major, parent, _SERVER, superuser=server.bootstrap) as cluster:
            copy = restore_alone(plain, cluster.address(), jobs=jobs, say=tell)
            between(copy)
            say("restored; comparing")
            verify_content(plain, copy, jobs=jobs, say=tell)


def _require_room(backup: Backup, parent: Path) -> None:
    stored = sum(length for length, _ in backup.manifest.files.values()) if backup.manifest.encryption else 0
    needed = int(backup.manifest.database_bytes * _ROOM) + stored
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise Inconclusive(
            f"there is no room to restore into: {size(needed)} are needed, {size(free)} are free",
            hint="Make room below WEDSYNC_HOME, or drill on another machine.",
        )
