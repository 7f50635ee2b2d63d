"""Finish or undo what an interrupted deployment left: at the next start, and from Prefect's hooks."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from wedsync_db.migrate.recover import Recovery

from tasks.names import EnvironmentName
from tasks.running import logger, say, step
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.migrate import recover as recovering
from wedsync_db.migrate.files import read_migrations


@step(name="recover", run_name="recover-{environment}")
def recover(environment: EnvironmentName) -> tuple[Recovery, ...]:
    """End the old runner's session, fence it off, then finish or undo its deployment. Doing it twice changes nothing.

    Raises:
        PersonNeeded: undoing would lose something that was written since.
    """
    installation = this_installation()
    settings = installation.environment(environment)
    migrations, _ = read_migrations(settings.migrations)
    with installation.target(environment) as address:
        return recovering.recover(address, migrations, locks=settings.locks, say=say, clock=lambda: datetime.now(UTC))


def recover_afterwards(flow: Flow, flow_run: FlowRun, state: State) -> None:  # type: ignore[type-arg]  # noqa: ARG001 Prefect calls hooks by these names
    """Prefect's hook for a crashed or cancelled run: it runs in a fresh process when the old one was killed."""
    environment = flow_run.parameters.get("environment")
    if not isinstance(environment, str):
        return
    try:
        recover.fn(environment)
    except WedsyncError as error:
        logger.error("recover %s: %s", environment, error.message)
