"""Look at environments, and tell people what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.each import Ended, all_ended, line
from tasks.names import EnvironmentName
from tasks.notify import notify
from tasks.running import say, step
from wedsync_db.cli.health import backup_facts
from wedsync_db.errors import WedsyncError
from wedsync_db.history.look import Look, look_at
from wedsync_db.installation import this_installation
from wedsync_db.model import Event
from wedsync_db.monitor.alerts import Notice
from wedsync_db.monitor.states import overall
from wedsync_db.report.notice import alert_text


@dataclass(frozen=True, slots=True)
class Seen(Ended):
    """One environment in a line; `look` is None where it could not even be tried, for the reason in `error`."""

    look: Look | None = None


@step(name="monitor", run_name="monitor-{environment}")
def monitored(environment: EnvironmentName) -> Seen:
    """Measure one environment, and tell of alerts that began, got worse or are over."""
    installation = this_installation()

    def tell(notice: Notice) -> None:
        event = Event.ALERT_OVER if notice.what == "resolved" else Event.ALERT
        notify(environment, event, alert_text(notice))

    try:
        found = look_at(
            installation,
            installation.environment(environment),
            clock=lambda: datetime.now(UTC),
            backups=backup_facts(installation, environment),
            tell=tell,
        )
    except WedsyncError as error:
        return _said(Seen(f"{environment}: {error.message}", error=error))
    for detail in found.details:
        say(f"{environment}: {detail}")
    if not found.remembered:  # without a memory of alerts, Prefect's own of the last run has to do
        notify(environment, Event.ALERT, found.line, repeats=True)
    return _said(Seen(found.line, look=found))


def all_seen(seen: Sequence[Seen]) -> State[object]:
    """The state of the run, named for the worst state of health: a sick database is no failure of the run."""
    state = all_ended(seen)
    if state.is_failed() or not seen:
        return state
    checks = [check for one in seen if one.look for check in one.look.found]
    return Completed(name=overall(checks).value.capitalize(), message=line(seen), data=line(seen))


def _said(seen: Seen) -> Seen:
    say(seen.text)
    return seen
