"""Prove the plan on a restored copy."""

from __future__ import annotations

from datetime import UTC, datetime

from tasks.names import EnvironmentName
from tasks.publishing import Progress, publish
from tasks.running import say, step
from wedsync_db.installation import this_installation
from wedsync_db.migrate.prove import prove
from wedsync_db.model import Backup, Plan, Rehearsal
from wedsync_db.report.rehearsal import rehearsal_markdown


@step(name="rehearse", run_name="rehearse-{environment}")
def rehearse(environment: EnvironmentName, plan: Plan, backup: Backup) -> Rehearsal:
    """Restore the backup into a scratch server, compare it with its manifest, run the plan up, down and up on copies.

    Raises:
        RehearsalFailed: a migration does not work on real data, or its revert loses what nobody said it would.
        BackupError: the backup is not what its manifest says.
    """
    installation = this_installation()
    settings = installation.environment(environment)
    with installation.target(environment) as address, installation.readable(settings, backup) as plain:
        rehearsal = prove(
            address,
            settings,
            plan,
            plain,
            scratch_parent=installation.home.scratch,
            clock=lambda: datetime.now(UTC),
            say=say,
            progress=Progress(f"rehearsal-progress-{environment}", "Rehearsal"),
        )
    publish(f"rehearsal-{environment}", rehearsal_markdown(rehearsal, plan), "What the plan did to a copy of the data")
    return rehearsal
