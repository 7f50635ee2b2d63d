"""Errors as people and machines read them: one line of what, a hint of what to do, never a row value."""

from __future__ import annotations

import traceback
from pathlib import Path

from wedsync_db.errors import PersonNeeded, WedsyncError
from wedsync_db.redact import redact


def unexpected(error: Exception) -> WedsyncError:
    """What nobody foresaw, as an error of ours: class, SQLSTATE, place. Its message is left out: it may hold rows."""
    sqlstate = getattr(error, "sqlstate", None)
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
    """The lines an operator reads: what happened, what is at risk, what to do."""
    lines = [f"error: {error.message}"]
    if isinstance(error, PersonNeeded):
        lines += [f"  at risk: {item}" for item in error.at_risk]
    if error.hint:
        first, *more = error.hint.splitlines()
        lines += [f"  hint: {first}", *(f"        {line}" for line in more)]
    return redact("\n".join(lines))


def error_json(error: WedsyncError) -> dict[str, object]:
    """The same for machines; keys are stable."""
    return {
        "error": type(error).__name__,
        "message": redact(error.message),
        "hint": redact(error.hint),
        "sqlstate": error.sqlstate,
        "exit_code": error.exit_code,
        "at_risk": [redact(item) for item in getattr(error, "at_risk", ())],
    }
