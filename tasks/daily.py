"""Make the daily report of an environment, and show where it is."""

from __future__ import annotations

from datetime import UTC, datetime

from tasks.each import Ended, told
from tasks.names import EnvironmentName
from tasks.publishing import publish, publish_link
from tasks.running import say, step
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.report.daily.make import make_report
from wedsync_db.report.daily.text import summary_markdown, summary_text


@step(name="daily-report", run_name="daily-report-{environment}")
def daily(environment: EnvironmentName, days: int) -> Ended:
    """Write the page. How it ended is in the answer, so that others get theirs."""
    try:
        made = make_report(this_installation(), environment, days=days, clock=lambda: datetime.now(UTC))
    except WedsyncError as error:
        return told(environment, Ended(f"{environment}: {error.message}", error))
    say(f"report: {made.path}")
    key = f"daily-report-{environment}"
    publish(key, summary_markdown(environment, made.summary, str(made.path)), "How it is, and what needs somebody")
    publish_link(f"{key}-page", made.path.as_uri(), "The page, on the machine that made it")
    return told(environment, Ended(summary_text(environment, made.summary).splitlines()[0]))
