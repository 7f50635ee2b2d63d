"""Finish or undo what an interrupted deployment left: at the next start, and from Prefect's hooks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging.configuration import setup_logging
from prefect.logging.handlers import APILogHandler

from tasks.guard import ask_guard
from tasks.names import EnvironmentName
from tasks.notify import notify, wait_for_messages
from tasks.publishing import publish_for
from tasks.record import settled, unsettled, wait_for_notes
from tasks.running import logger, say, step
from wedsync_db.errors import PersonNeeded, WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.migrate import recover as recovering
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.recover import Recovery
from wedsync_db.model import Event
from wedsync_db.postgres.cluster import sweep_scratch
from wedsync_db.report.errors import error_text, unexpected
from wedsync_db.report.notice import event_of_recovery
from wedsync_db.report.recovery import recovery_line, recovery_markdown, unrecovered_markdown


@step(name="recover", run_name="recover-{environment}")
def recover(
    environment: EnvironmentName, *, again: bool = False, overrides: Sequence[str] = ()
) -> tuple[Recovery, ...]:
    """End the old runner's session, fence it off, then finish or undo its deployment. Doing it twice changes nothing.

    With `again` somebody deploys the same once more: then half a file that only a person could undo is gone on with.

    Raises:
        PersonNeeded: undoing would lose something that was written since.
        Refused: the guard speaks against going on; the deployment stays as it is.
    """
    asking = (lambda: _ask_guard(environment, overrides)) if again else None
    return recovered(environment, say, going_on=asking)


def _ask_guard(environment: EnvironmentName, overrides: Sequence[str]) -> None:
    ask_guard.fn(environment, "between", overrides=overrides)


def recover_afterwards(flow: Flow, flow_run: FlowRun, state: State) -> None:  # type: ignore[type-arg]  # noqa: ARG001 Prefect calls hooks by these names
    """Prefect's hook for a crashed or cancelled run; in a process of its own where a worker calls it.

    That process knows of no run and logs nowhere, so both are set up here. What it says and shows belongs to the run.
    """
    environment = flow_run.parameters.get("environment")
    if not isinstance(environment, str):
        return
    setup_logging()
    told = logging.LoggerAdapter(logger, {"flow_run_id": str(flow_run.id), "flow_run_name": flow_run.name})
    told.info("interrupted (%s): looking for what it left on %s", state.name, environment)
    page, event, text = _aftermath(environment, told)
    publish_for(flow_run.id, f"result-{environment}", page, "What became of the interrupted deployment")
    notify(environment, event, f"{flow_run.name} was interrupted ({state.name}). {text}", run_id=flow_run.id)
    wait_for_messages()
    wait_for_notes()
    APILogHandler().flush()  # the hook's process does not wait for its logs


def _aftermath(environment: str, told: logging.LoggerAdapter[logging.Logger]) -> tuple[str, Event, str]:
    """Recover, and say how that went: a page, and for those who wait the kind of event and a line."""
    try:
        done = recovered(environment, told.info)
    except Exception as error:  # noqa: BLE001 Prefect would log it with what a driver said
        reason = error if isinstance(error, WedsyncError) else unexpected(error)
        told.error("%s", error_text(reason))
        return unrecovered_markdown(environment, reason), Event.PERSON_NEEDED, reason.message
    line = recovery_line(environment, done)
    told.info("%s", line)
    return recovery_markdown(environment, done), event_of_recovery(done), line


def recovered(
    environment: str, say: Callable[[str], None], *, going_on: Callable[[], None] | None = None
) -> tuple[Recovery, ...]:
    """What `recover` does, as a plain function: hooks run outside of every run."""
    installation = this_installation()
    settings = installation.environment(environment)
    migrations, _ = read_migrations(settings.migrations)
    try:
        with installation.target(environment) as address:
            done = recovering.recover(
                address, migrations, locks=settings.locks, say=say, clock=lambda: datetime.now(UTC), going_on=going_on
            )
    except PersonNeeded:
        unsettled(environment)
        raise
    settled(environment, done)
    sweep_scratch(installation.home.scratch)  # copies of the data must not outlive a killed rehearsal
    return done
