"""Tell how a deployment ended: artifacts, an HTML page, the terminal. A report that fails changes nothing."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.names import EnvironmentName
from tasks.notify import notify, wait_for_messages
from tasks.publishing import publish
from tasks.record import ended, wait_for_notes
from tasks.running import logger, say, step, without_tags
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.model import Applied, Event, Opened, Outcome, Plan, Proof
from wedsync_db.report.errors import unexpected
from wedsync_db.report.failure import failure_markdown
from wedsync_db.report.html import write_report
from wedsync_db.report.markdown import counted
from wedsync_db.report.notice import event_of_end
from wedsync_db.report.outcome import outcome_line, outcome_markdown

P = ParamSpec("P")


@step(name="report", run_name="report-{environment}")
def report(environment: EnvironmentName, outcome: Outcome) -> Path | None:
    """Write the HTML page and publish the result; says where it is. Returns None when the page could not be written."""
    say(outcome_line(outcome))
    path = _written(outcome)
    ended(environment, outcome, path)
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
    notify(environment, Event.DONE, text)
    return Completed(message=text, data=text)


def named_ends(flow: Callable[P, State[object]]) -> Callable[P, State[object]]:
    """Let a flow end in a state that bears its error's name, with a page that says why, and tell those who wait for it.

    The name is all that a caller on another machine learns of an error: see `wedsync_db.errors.error_named`.
    """

    @functools.wraps(flow)
    def run(*args: P.args, **kwargs: P.kwargs) -> State[object]:
        environment = str(args[0] if args else kwargs.get("environment"))
        try:
            with without_tags():
                state = flow(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 nothing of a driver may get into Prefect's database
            state = _stopped(environment, error if isinstance(error, WedsyncError) else unexpected(error))
        if state.is_failed():
            notify(environment, event_of_end(state.name or "", state.data), state.message or "")
        wait_for_messages()
        wait_for_notes()
        return state

    # Prefect would look for the names in the flow's annotations here, and not where the flow was written
    run.__signature__ = inspect.signature(flow, eval_str=True)  # type: ignore[attr-defined]
    return run


def _stopped(environment: str, error: WedsyncError) -> State[object]:
    publish(f"result-{environment}", failure_markdown(environment, error), "Why it stopped")
    return Failed(name=type(error).__name__, message=error.message, data=error)
