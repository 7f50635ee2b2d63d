"""How a drill ended, in a line and as a page."""

from __future__ import annotations

from wedsync_db.backup.drill import Drilled
from wedsync_db.report.markdown import counted, duration, untagged

_HEADLINES = {
    "restored": "Restored, and the same as its source was",
    "failed": "This backup is no good",
    "inconclusive": "Not judged: this machine could not hold the copy",
}


def drill_line(environment: str, found: Drilled) -> str:
    """In one line how it ended."""
    head = f"{environment}: backup {found.backup}"
    if found.outcome == "restored" and found.recovery is not None:
        compared = f"{counted(found.rows, 'row')} of {counted(found.relations, 'table')} compared"
        return f"{head} restored in {duration(found.recovery)}, {compared}; its data is {duration(found.data_age)} old"
    return f"{head} {found.outcome}: {found.problem}"


def drill_markdown(environment: str, found: Drilled) -> str:
    """The page in the run's artifacts."""
    lines = [
        f"# {_HEADLINES[found.outcome]}",
        untagged(drill_line(environment, found)),
        *([untagged(found.hint)] if found.hint else []),
        "| | |\n|---|---|",
    ]
    known = "–" if found.recovery is None else duration(found.recovery)
    lines[-1] += f"\n| until all was restored and compared (RTO) | {known} |"
    lines[-1] += f"\n| age of the data (RPO) | {duration(found.data_age)} |"
    if found.notes:
        lines.append("\n".join(f"- {untagged(note)}" for note in found.notes))
    return "\n\n".join(lines)
