"""Errors as people and machines read them: one line of what, a hint of what to do, never a row value."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from wedsync_db.errors import PlanError, WedsyncError
from wedsync_db.postgres.connect_errors import session_lost
from wedsync_db.redact import redact
from wedsync_db.report.findings import finding_json, findings_text


def unexpected(error: Exception) -> WedsyncError:
    """What nobody foresaw, as an error of ours: class, SQLSTATE, place. Its message is left out: it may hold rows.

    A session that was lost is no defect of anybody's and can happen in every step: that is Unreachable.
    """
    sqlstate = getattr(error, "sqlstate", None)
    if lost := session_lost(error):
        return lost
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    ours = next((f for f in reversed(frames) if "wedsync_db" in f.filename), None)
    via = f", called from {Path(ours.filename).name}:{ours.lineno}" if ours and ours is not frames[-1] else ""
    code = f" (SQLSTATE {sqlstate})" if sqlstate else ""
    return WedsyncError(
        f"unexpected {type(error).__name__}{code}{place}{via}",
        hint="This is a defect of wedsync-db or of its surroundings; `status` says where the deployment stands.",
        sqlstate=sqlstate,
    )


def error_text(error: WedsyncError) -> str:
    """The lines an operator reads: what happened, the SQL with its caret, what is at risk, what to do."""
    lines = [f"error: {error.message}"]
    lines += [f"    {line}" for line in _excerpt(error).splitlines()]
    lines += [f"  at risk: {item}" for item in _at_risk(error)]
    if isinstance(error, PlanError) and error.findings:
        lines.append(findings_text(error.findings))  # `file:line:column` at the start of a line, where editors look
    elif error.hint:
        first, *more = error.hint.splitlines()
        lines += [f"  hint: {first}", *(f"        {line}" for line in more)]
    return redact("\n".join(lines))


def error_json(error: WedsyncError) -> dict[str, Any]:
    """The same for machines; keys are stable."""
    findings = error.findings if isinstance(error, PlanError) else ()
    return {
        "error": type(error).__name__,
        "message": redact(error.message),
        "hint": redact(error.hint),
        "sqlstate": error.sqlstate,
        "exit_code": error.exit_code,
        "excerpt": redact(_excerpt(error)),
        "at_risk": [redact(item) for item in _at_risk(error)],
        "findings": [_redacted(finding_json(f)) for f in findings],
    }


def _excerpt(error: WedsyncError) -> str:
    """The line of SQL with a caret below; only errors of statements have one."""
    return str(getattr(error, "excerpt", ""))


def _at_risk(error: WedsyncError) -> tuple[str, ...]:
    return tuple(getattr(error, "at_risk", ()))


def _redacted(values: dict[str, Any]) -> dict[str, Any]:
    return {key: redact(value) if isinstance(value, str) else value for key, value in values.items()}
