"""What a notification says: in one line what happened, and where to look. It is read on a telephone, at night."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wedsync_db.errors import Inconclusive, PersonNeeded
from wedsync_db.migrate.recover import Recovery
from wedsync_db.model import DeploymentStatus, Event, Plan
from wedsync_db.monitor.alerts import Notice as AlertNotice
from wedsync_db.monitor.judge import RUNBOOK
from wedsync_db.redact import redact
from wedsync_db.report.markdown import counted

_LONGEST_TEXT = 500
_WORDS = {
    Event.STARTED: "deployment started",
    Event.PERSON_NEEDED: "a person is needed",
    Event.DONE: "deployed",
    Event.ROLLED_BACK: "rolled back",
    Event.FAILED: "failed",
    Event.ALERT: "alert",
    Event.ALERT_OVER: "alert is over",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to an environment; `page` is the address of the run's page, where it has one."""

    environment: str
    event: Event
    text: str
    page: str = ""

    @property
    def subject(self) -> str:
        """The environment and what happened: `production: rolled back`."""
        return f"{self.environment}: {_WORDS[self.event]}"

    @property
    def body(self) -> str:
        """One line of text without secrets, and below it the page."""
        text = " ".join(redact(self.text).split())
        short = text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"
        return f"{short}\n{self.page}".rstrip()


def event_of_end(name: str, error: object) -> Event:
    """What the end of a run in a failed state is to those who wait for it. Unknown is nothing to sleep on."""
    if name == "RolledBack":
        return Event.ROLLED_BACK
    return Event.PERSON_NEEDED if isinstance(error, PersonNeeded | Inconclusive) else Event.FAILED


def event_of_recovery(done: Iterable[Recovery]) -> Event:
    """What became of an interrupted deployment that needs nobody."""
    ends = {one.ended for one in done}
    if DeploymentStatus.ROLLED_BACK in ends:
        return Event.ROLLED_BACK
    return Event.DONE if ends else Event.FAILED


def started_text(plan: Plan) -> str:
    """What a deployment sets out to do."""
    return f"{counted(len(plan.pending), 'migration')} to deploy: {', '.join(m.id for m in plan.pending)}"


def alert_text(notice: AlertNotice) -> str:
    """What an alert says: since when it is how, about what, its evidence, and where to read on."""
    alert = notice.alert
    what = f"{alert.rule} ({alert.subject})" if alert.subject else alert.rule
    if notice.what == "resolved":
        return f"{what} is well again"
    since = f" since {alert.since:%Y-%m-%d %H:%M} UTC" if alert.since else ""
    again = f" ({notice.what})" if notice.what != "firing" else ""
    said = "".join(f"; {line}" for line in notice.evidence)
    return f"{what} is {alert.state.value}{since}{again}{said}. {RUNBOOK}#{alert.rule.replace('_', '-')}"
