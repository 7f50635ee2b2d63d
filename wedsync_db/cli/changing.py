"""The verbs that change a target without Prefect: revert, recover; and new, which makes files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wedsync_db.cli.answer import Answer
from wedsync_db.cli.confirm import confirmed
from wedsync_db.cli.terminal import say
from wedsync_db.errors import PersonNeeded
from wedsync_db.installation import Installation
from wedsync_db.model import DeploymentStatus
from wedsync_db.report.markdown import counted

if TYPE_CHECKING:
    from wedsync_db.history.deployments import Deployments, Ending
    from wedsync_db.migrate.recover import Recovery


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
    if undone:
        _note(installation, environment.name, lambda kept, now: _reverted(kept, now, undone))
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
    if done:
        _note(installation, environment.name, lambda kept, now: _recovered(kept, now, done))
    text = "\n".join(one.message for one in done) or f"{environment.name}: no interrupted deployment"
    return Answer(text, {"recovered": done})


def new(arguments: argparse.Namespace, _installation: Installation) -> Answer:
    """Make the next migration's folder."""
    from wedsync_db.migrate.new import new_migration

    path = new_migration(Path(arguments.dir), arguments.name, requires=tuple(arguments.requires))
    text = f"{path}\nWrite deploy.sql, revert.sql and verify.sql there, then: rehearse --dir {arguments.dir}"
    return Answer(text, {"path": path})


def _note(installation: Installation, environment: str, write: Callable[[Deployments, datetime], None]) -> None:
    """Let the plots know, if there is a history store; what it does not learn is said."""
    from wedsync_db.history.deployments import deployments

    with deployments(installation, environment) as kept:
        write(kept, datetime.now(UTC))
    for problem in kept.problems:
        say(problem)


def _reverted(kept: Deployments, now: datetime, undone: Sequence[str]) -> None:
    kept.end(f"revert-{now:%Y%m%dT%H%M%SZ}", "reverted", started_at=now, finished_at=now, migrations=undone)


def _recovered(kept: Deployments, now: datetime, done: Sequence[Recovery]) -> None:
    for one in done:
        how: Ending = "done" if one.ended is DeploymentStatus.DONE else "rolled_back"
        kept.end(one.deployment_id, how, started_at=one.started_at or now, finished_at=now)
