"""The backup of a night: make it, read it back, delete what may go, and write down what is there.

For the maintenance flow, which holds the target's lock and calls the parts one by one or all at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from wedsync_db.backup.dump import create_backup, nothing
from wedsync_db.backup.keys import known_keys, newest_key
from wedsync_db.backup.mirror import mirror
from wedsync_db.backup.proven import Proof, note, proven
from wedsync_db.backup.prune import Pruned, pinned, prune
from wedsync_db.backup.readable import require_sealed
from wedsync_db.backup.store import check_files, in_making, in_use, list_backups
from wedsync_db.errors import BackupError, WedsyncError
from wedsync_db.history.backups import Entry, Registry, registry
from wedsync_db.installation import Installation
from wedsync_db.model import Backup
from wedsync_db.postgres.programs import Programs
from wedsync_db.postgres.session import Address
from wedsync_db.settings import Environment

Say = Callable[[str], None]
Clock = Callable[[], datetime]
_CHECK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Night:
    """What the night brought. `damaged`: older backups that do not read back. `problems`: what could not be done."""

    backup: Backup
    pruned: Pruned
    damaged: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def nightly_backup(
    installation: Installation,
    environment: Environment,
    address: Address,
    *,
    clock: Clock,
    say: Say = lambda _: None,
    progress: Callable[[float], None] = lambda _: None,
    check: Callable[[], None] = nothing,
    programs: Programs | None = None,
) -> Night:
    """Back up, read every file back, delete what retention lets go. The caller holds the target's lock.

    Neither a lost history store nor a target that takes no note of it is an error: `problems` has it.

    Args:
        installation: whose backups.
        environment: the target's settings.
        address: the target.
        clock: when it is.
        say: gets a line for each step.
        progress: gets the dump's share done, 0 to 1.
        check: called four times a second while the dump runs and files are read back; what it raises ends the night:
            a deployment wants the target.
        programs: the client programs; found on this machine by default.

    Raises:
        BackupError: it could not be made, or does not read back as it was written.
        Refused: there is no pg_dump for this server, or the environment has to name a key and does not.
        Unreachable: the server cannot be reached, or was lost.
    """
    with recorded(installation, environment, address) as records:
        made = _made(installation, environment, address, records, clock, say, progress, check, programs)
        sometimes = _sometimes(check)
        verify(installation, environment, made, clock=clock, check=sometimes)
        say(f"backup {made.id}: every file reads back as it was written")
        damaged = tuple(verify_unproven(installation, environment, clock=clock, say=say, check=sometimes))
        pruned = prune_now(installation, environment, address, clock=clock, say=say, records=records)
    return Night(made, pruned, damaged, (*pruned.problems, *records.problems))


@contextmanager
def recorded(installation: Installation, environment: Environment, address: Address | None) -> Iterator[Registry]:
    """The registry; after the block, however it ends, it is made what the folder is, and the target is told."""
    folder = installation.home.backups(environment.name)
    with registry(installation, environment.name) as records:
        try:
            yield records
        finally:
            backups = list_backups(folder, say=lambda _: None)
            records.rebuild(backups, in_making(folder))
            if address and backups and (problem := mirror(address, backups)):
                records.problems.append(problem)


def rebuild_registry(
    installation: Installation, environment: Environment, *, say: Say = lambda _: None
) -> tuple[Sequence[Entry], Sequence[str]]:
    """Make the registry what the folder is: what it has then, and what could not be written."""
    folder = installation.home.backups(environment.name)
    with registry(installation, environment.name) as records:
        records.rebuild(list_backups(folder, say=say), in_making(folder))
        entries = records.listed()
    return entries, records.problems


def _made(
    installation: Installation,
    environment: Environment,
    address: Address,
    records: Registry,
    clock: Clock,
    say: Say,
    progress: Callable[[float], None],
    check: Callable[[], None],
    programs: Programs | None,
) -> Backup:
    begun: list[str] = []

    def begin(backup_id: str) -> None:
        begun.append(backup_id)
        records.begin(backup_id, clock())

    try:
        return create_backup(
            address,
            installation.home.ensure().backups(environment.name),
            environment=environment.name,
            clock=clock,
            jobs=environment.backup_jobs,
            say=say,
            progress=progress,
            check=check,
            programs=programs,
            key=newest_key(environment, installation.environ),
            begun=begin,
        )
    except WedsyncError as error:
        for backup_id in begun:
            records.fail(backup_id, error.message)
        raise


def _sometimes(check: Callable[[], None]) -> Callable[[], None]:
    """The check, four times a second at most: files are read in pieces that take a millisecond."""
    asked = time.monotonic()

    def ask() -> None:
        nonlocal asked
        if time.monotonic() - asked >= _CHECK_SECONDS:
            asked = time.monotonic()
            check()

    return ask


def verify(
    installation: Installation,
    environment: Environment,
    backup: Backup,
    *,
    clock: Clock,
    check: Callable[[], None] = nothing,
) -> None:
    """Read every file back and compare it with the manifest, and write down beside the backup how that ended.

    Raises:
        BackupError: it is not as it was written; naming the first file.
    """
    begin = clock()
    try:
        with in_use(backup):
            check_files(backup, check)
            if backup.manifest.encryption:
                require_sealed(backup, known_keys(environment, installation.environ))
    except BackupError as error:
        note(backup, "verified", Proof(good=False, at=clock(), problem=error.message))
        raise
    end = clock()
    note(backup, "verified", Proof(good=True, at=end, seconds=(end - begin).total_seconds()))


def verify_unproven(
    installation: Installation,
    environment: Environment,
    *,
    clock: Clock,
    say: Say = lambda _: None,
    check: Callable[[], None] = nothing,
) -> Sequence[str]:
    """Read back those that nobody has looked at since they were made, as a deployment's; the ids of damaged ones."""
    damaged = []
    for backup in list_backups(installation.home.backups(environment.name), say=say):
        if proven(backup).progress != "complete":
            continue
        try:
            verify(installation, environment, backup, clock=clock, check=check)
        except BackupError as error:
            say(error.message)
            damaged.append(backup.id)
    return damaged


def prune_now(
    installation: Installation,
    environment: Environment,
    address: Address | None,
    *,
    clock: Clock,
    dry_run: bool = False,
    say: Say = lambda _: None,
    records: Registry | None = None,
) -> Pruned:
    """Delete what the environment's retention lets go; nothing where the target does not say what it may need."""
    pruned = prune(
        installation.home.backups(environment.name),
        environment.retention,
        now=clock(),
        pins=pinned(address) if address else None,
        dry_run=dry_run,
        say=say,
    )
    reasons = {verdict.id: verdict.reason for verdict in pruned.verdicts}
    for backup_id in pruned.deleted if records else ():
        records.delete(backup_id, clock(), reasons[backup_id])  # type: ignore[union-attr]
    return pruned
