"""Note deployments in the history store: in the background, as it may take seconds to answer, or for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

from tasks.beside import Beside
from tasks.names import EnvironmentName
from tasks.publishing import run_page
from tasks.running import logger
from wedsync_db.history.deployments import Deployments, Ending, deployments
from wedsync_db.installation import this_installation
from wedsync_db.migrate.recover import Recovery
from wedsync_db.model import Deployment, DeploymentStatus, Opened, Outcome, Plan
from wedsync_db.report.errors import unexpected

_PATIENCE_SECONDS = 5.0
_notes = Beside("the history store does not answer; it may not know of this deployment")


def begun(environment: EnvironmentName, opened: Opened, plan: Plan) -> None:
    """Note that a deployment was begun."""
    deployment, page = opened.deployment, _page()
    ids = [migration.id for migration in plan.pending]
    _note(environment, lambda kept: kept.begin(deployment.id, deployment.started_at, ids, page))


def ended(environment: EnvironmentName, outcome: Outcome, report: Path | None) -> None:
    """Note how it ended, with its report."""
    how: Ending = "done" if outcome.applied else "rolled_back" if outcome.rolled_back else "person_needed"
    ids = [migration.id for migration in outcome.proof.plan.pending]
    _end(environment, outcome.deployment, how, ids, str(report) if report else None)


def stuck(environment: EnvironmentName, deployment: Deployment) -> None:
    """Note that it could not be rolled back: `recover` has the last word."""
    _end(environment, deployment, "failed")


def settled(environment: EnvironmentName, done: Iterable[Recovery]) -> None:
    """Note how interrupted deployments ended."""
    recoveries, now = tuple(done), datetime.now(UTC)

    def write(kept: Deployments) -> None:
        for one in recoveries:
            how: Ending = "done" if one.ended is DeploymentStatus.DONE else "rolled_back"
            kept.end(one.deployment_id, how, started_at=one.started_at or now, finished_at=now)

    if recoveries:
        _note(environment, write)


def unsettled(environment: EnvironmentName) -> None:
    """Note that an interrupted deployment waits for a person."""
    now = datetime.now(UTC)
    _note(environment, lambda kept: kept.needs_person(now))


def wait_for_notes() -> None:
    """Give notes that are on their way a few seconds: they end with the process."""
    _notes.wait(_PATIENCE_SECONDS)


def _end(
    environment: EnvironmentName,
    deployment: Deployment,
    how: Ending,
    ids: Iterable[str] = (),
    report: str | None = None,
) -> None:
    page, now, migrations = _page(), datetime.now(UTC), tuple(ids)
    _note(
        environment,
        lambda kept: kept.end(
            deployment.id,
            how,
            started_at=deployment.started_at,
            finished_at=now,
            migrations=migrations,
            run_url=page,
            report_path=report,
        ),
    )


def _page() -> str | None:
    """The run's page; a temporary server has gone when somebody follows the link."""
    return run_page(flow_run.id) if PREFECT_API_URL.value() and flow_run.id else None


def _note(environment: EnvironmentName, write: Callable[[Deployments], None]) -> None:
    def attempt() -> None:
        try:
            with deployments(this_installation(), environment) as kept:
                write(kept)
            for problem in kept.problems:
                logger.warning("%s: %s", environment, problem)
        except Exception as error:  # noqa: BLE001 whatever it is, it must not undo a good deployment
            logger.warning("%s: the deployment could not be noted: %s", environment, unexpected(error).message)

    _notes.start(attempt)
