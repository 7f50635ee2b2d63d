"""Tell how a deployment ended: artifacts, an HTML page, the terminal. A report that fails changes nothing."""

from __future__ import annotations

from pathlib import Path

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed

from tasks.names import EnvironmentName
from tasks.publishing import publish, publish_for
from tasks.running import logger, say, step
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.model import Applied, Opened, Outcome, Plan, Proof
from wedsync_db.report.errors import unexpected
from wedsync_db.report.failure import failure_markdown
from wedsync_db.report.html import write_report
from wedsync_db.report.markdown import counted
from wedsync_db.report.outcome import outcome_line, outcome_markdown

_REPORTED = frozenset({"RolledBack", "PersonNeeded"})


@step(name="report", run_name="report-{environment}")
def report(environment: EnvironmentName, outcome: Outcome) -> Path | None:
    """Write the HTML page and publish the result; says where it is. Returns None when the page could not be written."""
    say(outcome_line(outcome))
    path = _written(outcome)
    publish(f"result-{environment}", outcome_markdown(outcome, path), "How the deployment ended")
    return path


def _written(outcome: Outcome) -> Path | None:
    try:
        path = write_report(outcome, this_installation().home.reports)
    except Exception as error:  # noqa: BLE001 a full disk or a defect here must not fail a good deployment
        logger.warning("the report could not be written: %s", unexpected(error).message)
        return None
    say(f"report: {path}")
    return path


def nothing_to_do(environment: EnvironmentName, plan: Plan) -> State[object]:
    """The end of a deployment that found nothing pending."""
    text = f"{environment} is up to date: {counted(len(plan.applied), 'migration')} applied, none pending"
    say(text)
    return Completed(message=text, data=text)


def report_success(environment: EnvironmentName, proof: Proof, opened: Opened, applied: Applied) -> State[object]:
    """The end of a deployment that did what it should."""
    outcome = Outcome(environment, opened.deployment, proof, applied=applied)
    report(environment, outcome)
    text = outcome_line(outcome)
    return Completed(message=text, data=text)


def report_failure(flow: Flow, flow_run: FlowRun, state: State) -> None:  # type: ignore[type-arg]  # noqa: ARG001 Prefect calls hooks by these names
    """Prefect's hook for a failed run: show why, with the hint. What was rolled back has its own report."""
    error = state.result(raise_on_failure=False)
    if state.name not in _REPORTED and isinstance(error, WedsyncError):
        environment = str(flow_run.parameters.get("environment"))
        publish_for(flow_run.id, f"result-{environment}", failure_markdown(environment, error), "Why it stopped")
