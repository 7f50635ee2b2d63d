"""Look after what interrupted deployments left, environment by environment."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.client.schemas.objects import State

from tasks.each import Ended, all_ended
from tasks.names import EnvironmentName
from tasks.notify import notify
from tasks.publishing import publish
from tasks.recover import recovered
from tasks.running import say, step
from wedsync_db.errors import PersonNeeded, TargetHeld, WedsyncError
from wedsync_db.model import Event
from wedsync_db.report.notice import event_of_recovery
from wedsync_db.report.recovery import recovery_line, recovery_markdown, unrecovered_markdown


@step(name="reconcile", run_name="reconcile-{environment}")
def look_after(environment: EnvironmentName) -> Ended:
    """Settle what was interrupted on one target. What cannot be settled is told, and does not keep others waiting."""
    try:
        done = recovered(environment, say)
    except TargetHeld as busy:  # its own deployment, most likely: it is at work, and so not interrupted
        return _said(Ended(f"{environment}: left alone, {busy.message}"))
    except WedsyncError as error:
        publish(f"reconcile-{environment}", unrecovered_markdown(environment, error), "What could not be settled")
        ended = Ended(f"{environment}: {error.message}", error)
        if isinstance(error, PersonNeeded):  # what waits for locks only is found again every five minutes
            notify(environment, Event.PERSON_NEEDED, ended.text, repeats=True)
        return _said(ended)
    if not done:
        return Ended(f"{environment}: nothing was interrupted")
    publish(f"reconcile-{environment}", recovery_markdown(environment, done), "What was settled")
    notify(environment, event_of_recovery(done), recovery_line(environment, done))
    return _said(Ended(recovery_line(environment, done)))


def all_settled(ended: Sequence[Ended]) -> State[object]:
    """The state of the whole look: a person is needed if one environment needs one, before anything else is said."""
    return all_ended(sorted(ended, key=lambda one: not isinstance(one.error, PersonNeeded)))


def _said(ended: Ended) -> Ended:
    say(ended.text)
    return ended
