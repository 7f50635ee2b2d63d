"""Look after what interrupted deployments left, environment by environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.names import EnvironmentName
from tasks.notify import notify, wait_for_messages
from tasks.publishing import publish
from tasks.recover import recovered
from tasks.running import say, step
from wedsync_db.errors import PersonNeeded, TargetHeld, WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.model import Event
from wedsync_db.report.notice import event_of_recovery
from wedsync_db.report.recovery import recovery_line, recovery_markdown, unrecovered_markdown


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in one environment, in a line, and the error that keeps it from being settled."""

    text: str
    error: WedsyncError | None = None


def environments_here(only: EnvironmentName | None) -> Sequence[EnvironmentName]:
    """The environments to look after from this machine."""
    return (only,) if only else this_installation().addressed()


@step(name="reconcile", run_name="reconcile-{environment}")
def look_after(environment: EnvironmentName) -> Looked:
    """Settle what was interrupted on one target. What cannot be settled is told, and does not keep others waiting."""
    try:
        done = recovered(environment, say)
    except TargetHeld as busy:  # its own deployment, most likely: it is at work, and so not interrupted
        return _told(Looked(f"{environment}: left alone, {busy.message}"))
    except WedsyncError as error:
        publish(f"reconcile-{environment}", unrecovered_markdown(environment, error), "What could not be settled")
        looked = Looked(f"{environment}: {error.message}", error)
        if isinstance(error, PersonNeeded):  # what waits for locks only is found again every five minutes
            notify(environment, Event.PERSON_NEEDED, looked.text, repeats=True)
        return _told(looked)
    if not done:
        return Looked(f"{environment}: nothing was interrupted")
    publish(f"reconcile-{environment}", recovery_markdown(environment, done), "What was settled")
    notify(environment, event_of_recovery(done), recovery_line(environment, done))
    return _told(Looked(recovery_line(environment, done)))


def ended(looked: Sequence[Looked]) -> State[object]:
    """The state of the whole look: a person is needed if one environment needs one, failed if one was not settled."""
    wait_for_messages()
    text = "; ".join(one.text for one in looked) or "no environment has an address here"
    errors = [one.error for one in looked if one.error is not None]
    needed = [error for error in errors if isinstance(error, PersonNeeded)]
    if needed:
        return Failed(name="PersonNeeded", message=text, data=needed[0])
    if errors:
        return Failed(message=text, data=errors[0])
    return Completed(message=text, data=text)


def _told(looked: Looked) -> Looked:
    say(looked.text)
    return looked
