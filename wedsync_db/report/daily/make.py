"""Make the daily report: read what is known, look at the database as it is now, draw, write, let old pages go."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import psycopg

from wedsync_db.cli.health import backup_facts
from wedsync_db.errors import UsageError, WedsyncError
from wedsync_db.history.best_effort import said
from wedsync_db.history.daily import Known, known
from wedsync_db.history.store import open_history
from wedsync_db.installation import Installation
from wedsync_db.monitor.health import look
from wedsync_db.monitor.statements import read_statements
from wedsync_db.monitor.thresholds import limits
from wedsync_db.postgres.disk import data_room
from wedsync_db.postgres.session import Address, session
from wedsync_db.report.daily.page import daily_html
from wedsync_db.report.daily.runbook import runbook_text
from wedsync_db.report.daily.summary import summary
from wedsync_db.report.daily.top import Now, Summary
from wedsync_db.report.html import write_page
from wedsync_db.settings import Environment

LONGEST_DAYS = 90
_KEPT_DAYS = 60
_FOLDER = "daily"


@dataclass(frozen=True, slots=True)
class Made:
    """Where the page is, and its top."""

    path: Path
    summary: Summary


def make_report(
    installation: Installation,
    name: str,
    *,
    days: int,
    clock: Callable[[], datetime],
    output: Path | None = None,
) -> Made:
    """The daily report of an environment, by default as `reports/<environment>/daily/<date>.html`.

    What cannot be read or looked at is said on the page. Pages of two months ago are deleted.

    Args:
        installation: Where everything is.
        name: The environment.
        days: How many the pictures show.
        clock: The time, in UTC.
        output: Another place for the page.

    Raises:
        UsageError: there is no such environment, the days are no good, or the page cannot be written there.
        NoHistoryYet: nothing was ever kept here.
        Unreachable: the history store does not answer.
    """
    environment = installation.environment(name)
    if not 1 <= days <= LONGEST_DAYS:
        raise UsageError(f"a report is of 1 to {LONGEST_DAYS} days")
    until = clock()
    facts = _known(installation, name, until - timedelta(days=days), until)
    now = _now(installation, environment, clock)
    path = output or installation.home.reports / name / _FOLDER / f"{until:%Y-%m-%d}.html"
    os.environ.setdefault("MPLCONFIGDIR", str(installation.home.path / "plots"))  # its list of fonts, made once
    chosen = limits(environment.health)
    page = daily_html(facts, now, chosen, runbook=runbook_text(installation.checkout), folder=path.parent.absolute())
    _write(page, path, make_folder=output is None)
    if output is None:
        forget(path.parent, until.date())
    return Made(path, summary(facts, now, chosen))


def forget(folder: Path, today: date) -> None:
    """Delete the pages that are too old; nothing but pages of ours, and best effort."""
    for page in folder.glob("*.html"):
        with suppress(ValueError, OSError):
            if today - date.fromisoformat(page.stem) > timedelta(days=_KEPT_DAYS):
                page.unlink()


def _known(installation: Installation, name: str, since: datetime, until: datetime) -> Known:
    with installation.history(create=False) as address, open_history(address, "report") as connection:
        return known(connection, name, since, until)


def _now(installation: Installation, environment: Environment, clock: Callable[[], datetime]) -> Now:
    """How it is at this moment; why not, where nobody could look."""
    try:
        with installation.target(environment.name) as address:
            backups = backup_facts(installation, environment.name)
            found = look(address, environment.health, now=clock, backups=backups)
            free, unread = _asked(address, clock())
            return Now(found, free, unread=unread)
    except (WedsyncError, psycopg.Error, OSError) as error:
        return Now(problem=f"The database was not looked at: {said(error)}")


def _asked(address: Address, now: datetime) -> tuple[int | None, tuple[str, ...]]:
    """The room on its disk, and why nothing is known of its statements; neither is worth a report."""
    try:
        with session(address, "report", lock_timeout_ms=100, statement_timeout_ms=3_000) as connection:
            room, _ = data_room(connection)
            return room.free if room else None, read_statements(connection, now).problems
    except (WedsyncError, psycopg.Error):
        return None, ()


def _write(page: str, path: Path, *, make_folder: bool) -> None:
    try:
        if make_folder:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_page(page, path)
    except OSError as error:
        raise UsageError(f"the report cannot be written to {path}: {error.strerror}") from None
