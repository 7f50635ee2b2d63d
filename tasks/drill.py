"""Try a restore, and tell how it went."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks.names import EnvironmentName
from tasks.notify import notify, wait_for_messages
from tasks.publishing import publish
from tasks.running import say, step
from wedsync_db.backup.drill import drill_environment
from wedsync_db.cli.backups import choose
from wedsync_db.errors import BackupError, Inconclusive, WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.model import Event
from wedsync_db.postgres.session import Address
from wedsync_db.report.drill import drill_line, drill_markdown


@dataclass(frozen=True, slots=True)
class Tried:
    """How a drill ended, in a line; the error where it did not end well."""

    text: str
    error: WedsyncError | None = None


def drillable(only: EnvironmentName | None) -> Sequence[EnvironmentName]:
    """The environments to drill from this machine."""
    if only:
        return (only,)
    installation = this_installation()
    known = installation.environments()
    for name in (name for name in installation.addressed() if not known[name].allow_data_copy):
        say(f"{name}: not drilled here, its data may not be copied to this machine")
    return [name for name in installation.addressed() if known[name].allow_data_copy]


@step(name="drill", run_name="drill-{environment}")
def try_restore(environment: EnvironmentName, backup: str = "newest") -> Tried:
    """Restore a backup of one environment and compare it. How it ended is in the answer, so that others get theirs."""
    try:
        return _tried(environment, backup)
    except WedsyncError as error:
        return _told(environment, Tried(f"{environment}: {error.message}", error))


def _tried(environment: EnvironmentName, name: str) -> Tried:
    installation = this_installation()
    settings = installation.environment(environment)
    chosen = choose(name, installation, environment)
    with ExitStack() as stack:
        address: Address | None = None
        try:  # to tell it how the drill ended; the drill itself does not need the target
            address = stack.enter_context(installation.target(environment))
        except WedsyncError as error:
            say(f"{environment} is not told of it: {error.message}")
        found = drill_environment(
            installation, settings, chosen, clock=lambda: datetime.now(UTC), address=address, say=say
        )
    publish(f"drill-{environment}", drill_markdown(environment, found), "How the restore went")
    text = drill_line(environment, found)
    if found.outcome == "restored":
        return _told(environment, Tried(text))
    kind = BackupError if found.outcome == "failed" else Inconclusive
    return _told(environment, Tried(text, kind(text, hint=found.hint)))


def _told(environment: EnvironmentName, tried: Tried) -> Tried:
    say(tried.text)
    if tried.error:
        notify(environment, Event.FAILED, tried.text)
    return tried


def all_drilled(tried: Sequence[Tried]) -> State[object]:
    """The state of the run: failed if one backup is no good, Inconclusive if one could not be judged."""
    wait_for_messages()
    text = "; ".join(one.text for one in tried) or "no environment with an address here may be copied to this machine"
    errors = [one.error for one in tried if one.error]
    worst = next((error for error in errors if not isinstance(error, Inconclusive)), errors[0] if errors else None)
    if worst:
        return Failed(name=type(worst).__name__, message=text, data=worst)
    return Completed(message=text, data=text)
