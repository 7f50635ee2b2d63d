"""Rehearse an environment's plan on its own backup, under the environment's policies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from wedsync_db.errors import Refused
from wedsync_db.migrate.rehearse import rehearse, require_licences
from wedsync_db.model import Backup, Plan, Rehearsal
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment, LockSettings


def prove(
    address: Address,
    environment: Environment,
    plan: Plan,
    backup: Backup,
    *,
    scratch_parent: Path,
    clock: Callable[[], datetime],
    say: Callable[[str], None],
    progress: Callable[[float], None],
) -> Rehearsal:
    """Run the plan on copies of the backup with the deployer's rights and the target's settings.

    Raises:
        Refused: the environment does not allow its data to be copied here.
        RehearsalFailed: a migration fails on real data, or its revert loses what nobody said it would.
        BackupError: the backup is damaged.
    """
    require_data_copy(environment)
    proof = rehearse(
        plan,
        backup=backup,
        server_major=backup.manifest.server.major,
        deployer=None if backup.manifest.server.is_superuser else environment.role or backup.manifest.server.user,
        settings=deployer_settings(address),
        scratch_parent=scratch_parent,
        atomic=environment.atomic,
        locks=environment.locks,
        clock=clock,
        say=say,
        progress=progress,
    )
    require_licences(proof, plan, require_exact=environment.require_exact_revert)
    return proof


def require_data_copy(environment: Environment) -> None:
    """Make sure that the environment's data may be put into a scratch server here.

    Raises:
        Refused: it may not.
    """
    if not environment.allow_data_copy:
        raise Refused(
            f"{environment.name} does not allow its data to be copied to this machine, so nothing can be rehearsed",
            hint="Run this where the data may be, and set allow_data_copy = true in environments.toml there.",
        )


def deployer_settings(address: Address) -> dict[str, str]:
    """The settings of a target's session that change what a migration does: a rewrite may hang on TimeZone alone."""
    with session(address, "settings") as connection:
        return dict(connection.execute(query("deployment", "session_settings")).fetchall())


def prove_folder(
    plan: Plan,
    major: int,
    scratch_parent: Path,
    *,
    clock: Callable[[], datetime],
    say: Callable[[str], None],
    locks: LockSettings | None = None,
) -> Rehearsal:
    """Run a folder's migrations from an empty database of this major; shows reverts, not behaviour on real data."""
    proof = rehearse(
        plan,
        backup=None,
        server_major=major,
        deployer=None,
        settings={},
        scratch_parent=scratch_parent,
        atomic="deployment",
        locks=locks or LockSettings(),
        clock=clock,
        say=say,
        progress=lambda _fraction: None,
    )
    require_licences(proof, plan, require_exact=True)
    return proof
