"""The verb repair: what a migration destroyed by mistake comes back from a backup."""

from __future__ import annotations

import argparse

from wedsync_db.cli.answer import Answer
from wedsync_db.cli.backups import choose
from wedsync_db.cli.confirm import confirmed
from wedsync_db.cli.terminal import say
from wedsync_db.errors import PersonNeeded
from wedsync_db.installation import Installation


def repair(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Say what a backup still has of what migrations took since; with the typed name, bring it back."""
    from wedsync_db.migrate.files import read_migrations
    from wedsync_db.repair.repair import repair as repair_target
    from wedsync_db.repair.report import repair_text

    environment = installation.environment(arguments.environment)
    reason = confirmed(environment.name, arguments.apply, arguments.reason, option="--apply")
    chosen = choose(arguments.backup, installation, environment.name)
    home = installation.home.ensure()
    migrations, _ = read_migrations(environment.migrations)
    with installation.target(environment.name) as address, installation.readable(environment, chosen) as backup:
        found = repair_target(
            address,
            environment,
            migrations,
            backup,
            only=[name for name in (arguments.tables or "").split(",") if name],
            apply=reason,
            scratch_parent=home.scratch,
            file=home.reports / f"repair-{environment.name}-{backup.id}.jsonl",
            say=say,
        )
    waiting = found.open or (found.to_do and not found.applied)
    return Answer(repair_text(found, environment.name), found, PersonNeeded.exit_code if waiting else 0)
