"""The verb `report`: the daily report as a page, now."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from wedsync_db.cli.answer import Answer
from wedsync_db.installation import Installation


def report(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Make the page, and say its top and where it is.

    Raises:
        UsageError: there is no such environment, or the page cannot be written there.
        NoHistoryYet: nothing was ever kept here.
        Unreachable: the history store does not answer.
    """
    from wedsync_db.report.daily.make import make_report
    from wedsync_db.report.daily.text import summary_json, summary_text

    made = make_report(
        installation,
        arguments.environment,
        days=arguments.days,
        clock=lambda: datetime.now(UTC),
        output=Path(arguments.output) if arguments.output else None,
    )
    name = arguments.environment
    return Answer(f"{summary_text(name, made.summary)}\n{made.path}", summary_json(name, made.summary, str(made.path)))
