"""What flows share that go from environment to environment: each ends in a line, and all of them in one state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.names import EnvironmentName
from tasks.notify import notify, wait_for_messages
from tasks.running import say
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.model import Event


@dataclass(frozen=True, slots=True)
class Ended:
    """How one environment's part ended, in a line; the error where it did not end well."""

    text: str
    error: WedsyncError | None = None


def environments_here(only: EnvironmentName | None) -> Sequence[EnvironmentName]:
    """The environments to look after from this machine."""
    return (only,) if only else this_installation().addressed()


def told(environment: EnvironmentName, ended: Ended, *, quiet: type[WedsyncError] | tuple[()] = ()) -> Ended:
    """Say how it ended, and notify of an error that is not one of the quiet ones."""
    say(ended.text)
    if ended.error and not isinstance(ended.error, quiet):
        notify(environment, Event.FAILED, ended.text)
    return ended


def all_ended(
    ended: Sequence[Ended],
    *,
    least: type[WedsyncError] | tuple[()] = (),
    nothing: str = "no environment has an address here",
) -> State[object]:
    """The state of the run, once everybody was told: named for the first error, those of `least` last.

    The name is all of the error that a caller on another machine sees. `nothing` is said where nothing was to do.
    """
    wait_for_messages()
    errors = sorted((one.error for one in ended if one.error), key=lambda error: isinstance(error, least))
    if errors:
        return Failed(name=type(errors[0]).__name__, message=line(ended), data=errors[0])
    text = line(ended) or nothing
    return Completed(message=text, data=text)


def line(ended: Sequence[Ended]) -> str:
    """All of it in one line."""
    return "; ".join(one.text for one in ended)
