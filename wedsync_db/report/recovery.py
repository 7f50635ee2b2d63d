"""What became of an interrupted deployment, as a page for whoever finds its run cancelled or crashed."""

from __future__ import annotations

from collections.abc import Sequence

from wedsync_db.errors import PersonNeeded, WedsyncError
from wedsync_db.migrate.recover import Recovery
from wedsync_db.model import DeploymentStatus
from wedsync_db.report.errors import error_text
from wedsync_db.report.markdown import untagged


def recovery_line(environment: str, done: Sequence[Recovery]) -> str:
    """In one line what the database is like now."""
    return "; ".join(one.message for one in done) or f"{environment}: nothing had been begun, the database is as it was"


def recovery_markdown(environment: str, done: Sequence[Recovery]) -> str:
    """The end of an interrupted deployment that needs nobody."""
    finished = any(one.ended is DeploymentStatus.DONE for one in done)
    undone = "undone" if done else "nothing had been begun"
    return "\n\n".join(
        (
            f"# Interrupted: {'finished all the same' if finished else undone}",
            untagged(recovery_line(environment, done)),
            "The deployment can be started again: it finds out itself what is still pending.",
        )
    )


def unrecovered_markdown(environment: str, error: WedsyncError) -> str:
    """The end of an interrupted deployment that could not be undone: why, what is at risk, what to do."""
    needed = isinstance(error, PersonNeeded)
    again = f"Run `recover {environment}` once that is mended; `status {environment}` says where the database stands."
    return "\n\n".join(
        (
            f"# Interrupted: {'a person is needed' if needed else 'not undone yet'}",
            f"```text\n{error_text(error)}\n```",
            again,
        )
    )
