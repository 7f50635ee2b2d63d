"""The deployment report as one self-contained HTML page: no script, no outside file, readable in light and dark."""

from __future__ import annotations

import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from wedsync_db.model import Outcome
from wedsync_db.redact import redact
from wedsync_db.report.markdown import duration, size
from wedsync_db.report.outcome import outcome_line
from wedsync_db.report.sql import pretty_sql


def deployment_html(outcome: Outcome) -> str:
    """The whole page as text, escaped and without secrets."""
    pages = Environment(
        loader=PackageLoader("wedsync_db.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    pages.filters.update(duration=duration, size=size, pretty=pretty_sql)
    page = pages.get_template("deployment.html").render(
        outcome=outcome,
        line=outcome_line(outcome),
        plan=outcome.proof.plan,
        backup=outcome.proof.backup.manifest,
        rehearsal=outcome.proof.rehearsal,
        deployment=outcome.deployment,
    )
    return redact(page)


def write_report(outcome: Outcome, folder: Path) -> Path:
    """Write the page to `<folder>/<environment>/<deployment>.html`, readable by its owner only, and return the path."""
    path = folder / outcome.environment / f"{outcome.deployment.id}.html"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(deployment_html(outcome))
    return partial.replace(path)
