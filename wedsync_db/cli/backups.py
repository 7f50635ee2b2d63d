"""The verbs on backups: backup, backups with its pruning; and choosing one for others."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from wedsync_db.cli.answer import Answer
from wedsync_db.cli.terminal import Progress, say
from wedsync_db.errors import Inconclusive, Refused, Unreachable, UsageError
from wedsync_db.installation import Installation
from wedsync_db.model import Backup
from wedsync_db.postgres.session import Address
from wedsync_db.report.markdown import counted, size
from wedsync_db.settings import Environment


def back_up(address: Address, environment: Environment, installation: Installation) -> Backup:
    """Back up under the target's lock, as a deployment does."""
    from wedsync_db.backup.dump import create_backup
    from wedsync_db.backup.keys import newest_key
    from wedsync_db.postgres.locks import target_lock

    installation.home.ensure()
    with target_lock(address, "backup", wait_seconds=environment.guard.wait_for_holder_seconds, say=say):
        return create_backup(
            address,
            installation.home.backups(environment.name),
            environment=environment.name,
            clock=lambda: datetime.now(UTC),
            jobs=environment.backup_jobs,
            say=say,
            progress=Progress("backup"),
            key=newest_key(environment, installation.environ),
        )


def backup(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Make a backup now."""
    environment = installation.environment(arguments.environment)
    with installation.target(environment.name) as address:
        made = back_up(address, environment, installation)
    return Answer(f"{_line(made)}\n{made.path}", made)


def backups(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """List the backups of an environment, oldest first; with --prune delete what its retention lets go.

    Raises:
        UsageError: --dry-run without --prune.
    """
    if arguments.dry_run and not arguments.prune:
        raise UsageError("--dry-run goes with --prune", hint="Without --prune nothing is deleted.")
    environment = installation.environment(arguments.environment)
    if arguments.prune:
        return _pruned(environment, installation, dry_run=arguments.dry_run)
    if arguments.rebuild:
        return _rebuilt(environment, installation)
    name = environment.name
    found = _all(installation, name)
    text = "\n".join(_line(one) for one in found) or f"no backups of {name} yet: `backup {name}` makes one"
    return Answer(text, [_summary(one) for one in found])


def _pruned(environment: Environment, installation: Installation, *, dry_run: bool) -> Answer:
    """Delete what may go, or only say so. Where the target does not say what it may need, nothing goes: exit code 5."""
    from contextlib import ExitStack

    from wedsync_db.backup.nightly import prune_now, recorded
    from wedsync_db.backup.retention import UNKNOWN

    with ExitStack() as stack:
        address: Address | None = None
        try:
            address = stack.enter_context(installation.target(environment.name))
        except (Refused, Unreachable, UsageError) as error:
            say(error.message)
        records = None if dry_run else stack.enter_context(recorded(installation, environment, None))
        done = prune_now(
            installation, environment, address, clock=lambda: datetime.now(UTC), dry_run=dry_run, records=records
        )
    gone = "would go" if dry_run else "deleted"
    lines = [
        f"{v.id}  {'stays' if v.stays else gone if dry_run or v.id in done.deleted else 'still there'}: {v.reason}"
        for v in done.verdicts
    ]
    unknown = any(v.reason == UNKNOWN for v in done.verdicts)
    problems = (*done.problems, *(records.problems if records else ()))
    return Answer("\n".join([*lines, *problems]), done, Inconclusive.exit_code if unknown else 0)


def _rebuilt(environment: Environment, installation: Installation) -> Answer:
    """Make the registry in the history store what the folder is. A store that does not answer: exit code 1."""
    from wedsync_db.backup.nightly import rebuild_registry

    entries, problems = rebuild_registry(installation, environment, say=say)
    text = "\n".join([*(f"{one.id}  {one.state}  {one.problem}".rstrip() for one in entries), *problems])
    return Answer(text, {"backups": entries, "problems": problems}, 1 if problems else 0)


def choose(name: str, installation: Installation, environment: str) -> Backup:
    """The backup of that name; `newest` is one.

    Raises:
        UsageError: there is none.
    """
    found = _all(installation, environment)
    if not found:
        raise UsageError(f"there is no backup of {environment} yet", hint=f"`backup {environment}` makes one.")
    chosen = found[-1] if name == "newest" else next((b for b in found if b.id == name), None)
    if chosen is None:
        raise UsageError(
            f"{environment} has no backup of that name", hint=f"`backups {environment}` lists them; `newest` is one."
        )
    return chosen


def _all(installation: Installation, environment: str) -> tuple[Backup, ...]:
    from wedsync_db.backup.store import list_backups

    return list_backups(installation.home.backups(environment), say=say)


def _line(one: Backup) -> str:
    held = one.manifest
    rows = sum(r.rows for r in held.relations)
    stored = sum(length for length, _ in held.files.values())
    made = f"{held.created_at:%Y-%m-%d %H:%M:%S %Z}"
    tables = counted(len(held.relations), "table")
    return f"{one.id}  {made}  {_progress(one):8}  {tables}  {counted(rows, 'row')}  {size(stored)}"


def _progress(one: Backup) -> str:
    from wedsync_db.backup.proven import proven

    return proven(one).progress


def _summary(one: Backup) -> dict[str, object]:
    held = one.manifest
    return {
        "id": one.id,
        "path": one.path,
        "created_at": held.created_at,
        "state": _progress(one),
        "tables": len(held.relations),
        "rows": sum(r.rows for r in held.relations),
        "bytes": sum(length for length, _ in held.files.values()),
        "fingerprint": held.fingerprint,
    }
