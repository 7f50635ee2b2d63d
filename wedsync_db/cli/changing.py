"""The verbs that change a target without Prefect: revert, recover; and new, which makes files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from wedsync_db.cli.answer import Answer
from wedsync_db.cli.confirm import confirmed
from wedsync_db.cli.terminal import say
from wedsync_db.errors import PersonNeeded
from wedsync_db.installation import Installation
from wedsync_db.report.markdown import counted


def revert(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Revert applied migrations, newest first, down to the one that stays."""
    from wedsync_db.migrate.files import read_migrations
    from wedsync_db.migrate.revert_to import revert_to

    environment = installation.environment(arguments.environment)
    accepted = confirmed(environment.name, arguments.accept_loss, arguments.reason, option="--accept-loss")
    migrations, _ = read_migrations(environment.migrations)
    with installation.target(environment.name) as address, _saying_how_to_accept(environment.name):
        undone = revert_to(
            address,
            migrations,
            arguments.to,
            locks=environment.locks,
            say=say,
            accept_loss=accepted is not None,
            reason=accepted or arguments.reason or "",
        )
    text = f"{environment.name}: {counted(len(undone), 'migration')} reverted"
    return Answer(text if undone else f"nothing above {arguments.to} is applied", {"reverted": undone})


@contextmanager
def _saying_how_to_accept(environment: str) -> Iterator[None]:
    try:
        yield
    except PersonNeeded as error:
        error.hint = f"{error.hint} To accept it: --accept-loss {environment} --reason WHY".strip()
        raise


def recover(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Finish or undo an interrupted deployment."""
    from wedsync_db.migrate import recover as recovering
    from wedsync_db.migrate.files import read_migrations
    from wedsync_db.postgres.cluster import sweep_scratch

    environment = installation.environment(arguments.environment)
    migrations, _ = read_migrations(environment.migrations)
    with installation.target(environment.name) as address:
        done = recovering.recover(
            address, migrations, locks=environment.locks, say=say, clock=lambda: datetime.now(UTC)
        )
    sweep_scratch(installation.home.scratch)  # copies of the data must not outlive a killed rehearsal
    text = "\n".join(one.message for one in done) or f"{environment.name}: no interrupted deployment"
    return Answer(text, {"recovered": done})


def new(arguments: argparse.Namespace, _installation: Installation) -> Answer:
    """Make the next migration's folder."""
    from wedsync_db.migrate.new import new_migration

    path = new_migration(Path(arguments.dir), arguments.name, requires=tuple(arguments.requires))
    text = f"{path}\nWrite deploy.sql, revert.sql and verify.sql there, then: rehearse --dir {arguments.dir}"
    return Answer(text, {"path": path})
