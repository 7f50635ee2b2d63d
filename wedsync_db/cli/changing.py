"""The verbs that change a target without Prefect: revert, recover; and new, which makes files."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from wedsync_db.cli.answer import Answer
from wedsync_db.cli.terminal import say
from wedsync_db.installation import Installation


def revert(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Revert applied migrations, newest first, down to the one that stays."""
    from wedsync_db.migrate.files import read_migrations
    from wedsync_db.migrate.revert_to import revert_to

    environment = installation.environment(arguments.environment)
    migrations, _ = read_migrations(environment.migrations)
    with installation.target(environment.name) as address:
        undone = revert_to(
            address,
            migrations,
            arguments.to,
            locks=environment.locks,
            say=say,
            accept_loss=arguments.accept_loss == environment.name,
        )
    text = "\n".join(f"reverted {name}" for name in undone) or f"nothing above {arguments.to} is applied"
    return Answer(text, {"reverted": undone})


def recover(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Finish or undo an interrupted deployment."""
    from wedsync_db.migrate import recover as recovering
    from wedsync_db.migrate.files import read_migrations

    environment = installation.environment(arguments.environment)
    migrations, _ = read_migrations(environment.migrations)
    with installation.target(environment.name) as address:
        done = recovering.recover(
            address, migrations, locks=environment.locks, say=say, clock=lambda: datetime.now(UTC)
        )
    text = "\n".join(one.message for one in done) or f"{environment.name}: no interrupted deployment"
    return Answer(text, {"recovered": done})


def new(arguments: argparse.Namespace, _installation: Installation) -> Answer:
    """Make the next migration's folder."""
    from wedsync_db.migrate.new import new_migration

    path = new_migration(Path(arguments.dir), arguments.name, requires=tuple(arguments.requires))
    text = f"{path}\nWrite deploy.sql, revert.sql and verify.sql there, then: rehearse --dir {arguments.dir}"
    return Answer(text, {"path": path})
