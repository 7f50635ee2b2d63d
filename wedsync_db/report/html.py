"""The deployment report as one self-contained HTML page: no script, no outside file, readable in light and dark."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from wedsync_db.model import HeldLock, Outcome, Rehearsal
from wedsync_db.redact import redact
from wedsync_db.report.approval import approval_line
from wedsync_db.report.markdown import counted, duration, size
from wedsync_db.report.outcome import headline, next_steps, outcome_line
from wedsync_db.report.rehearsal import waited_for
from wedsync_db.report.sql import pretty_sql

_LINE = 90  # characters that fit beside the figures
# who has to wait for a lock of each mode: PostgreSQL's manual, table 13.2
_READERS_TOO = "AccessExclusiveLock"
_WRITERS = frozenset({"ExclusiveLock", "ShareRowExclusiveLock", "ShareLock"})


def deployment_html(outcome: Outcome) -> str:
    """The whole page as text, escaped and without secrets."""
    return (
        templates()
        .get_template("deployment.html")
        .render(
            outcome=outcome,
            headline=headline(outcome),
            line=outcome_line(outcome),
            steps=next_steps(outcome),
            proof=outcome.proof,
            plan=outcome.proof.plan,
            backup=outcome.proof.backup.manifest,
            rehearsal=outcome.proof.rehearsal,
            held=_held(outcome.proof.rehearsal),
            deployment=outcome.deployment,
            approval=approval_line(outcome.proof.approval) if outcome.proof.approval else "",
        )
    )


def templates() -> Environment:
    """The templates of all pages: what is put into them is escaped, and without secrets."""
    pages = Environment(
        loader=PackageLoader("wedsync_db.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_redacted,
    )
    pages.filters.update(
        duration=duration, size=size, sql=_sql, time=_time, waits=_waits, counted=counted, coded=_coded
    )
    return pages


def write_report(outcome: Outcome, folder: Path) -> Path:
    """Write the page to `<folder>/<environment>/<deployment>.html`, readable by its owner only, and return the path."""
    path = folder / outcome.environment / f"{outcome.deployment.id}.html"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return write_page(deployment_html(outcome), path)


def write_page(text: str, path: Path) -> Path:
    """Write a page at once, readable by its owner only, and return the path.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_suffix(".partial")
    page = text.encode("utf-8", errors="backslashreplace")  # a path may be no text
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(page)
        return partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # half a page, where the disk is full


def _redacted(value: Any) -> Any:
    """Each value before it is escaped: afterwards its quotes are entities, and a mask could take a tag along."""
    return redact(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _held(rehearsal: Rehearsal) -> list[tuple[str, HeldLock]]:
    """Each lock with its migration: what stops readers first, then by how long it was held."""
    found = [(proof.migration, lock) for proof, lock in waited_for(rehearsal)]
    return sorted(found, key=lambda one: (one[1].mode != _READERS_TOO, -one[1].seconds, one[1].relation))


def _sql(statement: str) -> str:
    """As its author laid it out; a long line is laid out here."""
    text = redact(statement)
    return text if "\n" in text or len(text) <= _LINE else pretty_sql(text)


def _coded(text: str) -> Markup:
    """Escaped text whose `commands` stand in code."""
    parts = [escape(part) for part in redact(text).split("`")]
    return Markup().join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S %Z}"


def _waits(mode: str) -> str:
    if mode == _READERS_TOO:
        return "readers and writers"
    return "writers" if mode in _WRITERS else "schema changes"
