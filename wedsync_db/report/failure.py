"""Why a deployment stopped before it rolled anything back, as a page for whoever finds its run failed."""

from __future__ import annotations

from wedsync_db.errors import BackupError, Inconclusive, PersonNeeded, PlanError, Refused, RehearsalFailed, WedsyncError
from wedsync_db.report.errors import error_text

# what each kind of error says about the target, the most special first; whatever else there is says nothing about it
_HEADLINES: tuple[tuple[type[WedsyncError], str], ...] = (
    (PlanError, "Refused: the files must be mended, the target was not touched"),
    (Refused, "Refused: the target was not touched"),
    (RehearsalFailed, "Stopped by the rehearsal: the target was not touched"),
    (BackupError, "Stopped by the backup: the target was not touched"),
    (PersonNeeded, "A person is needed"),
    (Inconclusive, "Not known how it ended"),
)


def failure_markdown(environment: str, error: WedsyncError) -> str:
    """The reason first, then the whole error with its hint, then where to look."""
    headline = next((text for kind, text in _HEADLINES if isinstance(error, kind)), "Failed")
    look = f"`status {environment}` says what is applied and what is pending."
    return "\n\n".join((f"# {headline}", f"```text\n{error_text(error)}\n```", look))
