"""Try a restore, and tell how it went."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from prefect.client.schemas.objects import State

from tasks.each import Ended, all_ended, told
from tasks.names import EnvironmentName
from tasks.publishing import publish
from tasks.running import say, step
from wedsync_db.backup.drill import drill_environment
from wedsync_db.cli.backups import choose
from wedsync_db.errors import BackupError, Inconclusive, WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.postgres.session import Address
from wedsync_db.report.drill import drill_line, drill_markdown


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
def try_restore(environment: EnvironmentName, backup: str = "newest") -> Ended:
    """Restore a backup of one environment and compare it. How it ended is in the answer, so that others get theirs."""
    try:
        return _tried(environment, backup)
    except WedsyncError as error:
        return told(environment, Ended(f"{environment}: {error.message}", error))


def _tried(environment: EnvironmentName, name: str) -> Ended:
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
        return told(environment, Ended(text))
    kind = BackupError if found.outcome == "failed" else Inconclusive
    return told(environment, Ended(text, kind(text, hint=found.hint)))


def all_drilled(ended: Sequence[Ended]) -> State[object]:
    """The state of the run: failed if one backup is no good, Inconclusive if one could not be judged."""
    nothing = "no environment with an address here may be copied to this machine"
    return all_ended(ended, least=Inconclusive, nothing=nothing)
