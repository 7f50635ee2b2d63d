"""Make a fresh backup with its manifest."""

from __future__ import annotations

from datetime import UTC, datetime

from tasks.names import EnvironmentName
from tasks.publishing import Progress
from tasks.running import say, step
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.keys import newest_key
from wedsync_db.installation import this_installation
from wedsync_db.model import Backup
from wedsync_db.postgres.locks import target_lock
from wedsync_db.report.markdown import size


@step(name="backup", run_name="backup-{environment}")
def take_backup(environment: EnvironmentName) -> Backup:
    """Dump the target in one snapshot, with a manifest of what that snapshot holds.

    Raises:
        BackupError: it could not be made; what was begun is removed.
        TargetHeld: somebody else holds the database.
        Refused: the environment has to name a key for its backups, and does not.
    """
    installation = this_installation()
    settings = installation.environment(environment)
    with (
        installation.target(environment) as address,
        target_lock(address, "backup", wait_seconds=settings.guard.wait_for_holder_seconds, say=say) as lock,
    ):
        backup = create_backup(
            address,
            installation.home.backups(environment),
            environment=environment,
            clock=lambda: datetime.now(UTC),
            jobs=settings.backup_jobs,
            check=lock.check,
            say=say,
            progress=Progress(f"backup-progress-{environment}", "Backup"),
            key=newest_key(settings, installation.environ),
        )
    rows = sum(r.rows for r in backup.manifest.relations)
    stored = sum(length for length, _ in backup.manifest.files.values())
    say(f"backup: {backup.id}, {rows:,} rows of {len(backup.manifest.relations)} tables in {size(stored)}")
    return backup
