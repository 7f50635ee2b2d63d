"""How a deployment ended, in one line and as a page."""

from __future__ import annotations

from pathlib import Path

from wedsync_db.model import Outcome
from wedsync_db.report.markdown import duration, table


def outcome_line(outcome: Outcome) -> str:
    """The end in one line: what was done, or what failed and what the database is like now."""
    if outcome.applied is not None:
        count = len(outcome.applied.migrations)
        return f"{outcome.environment}: {count} {_plural(count)} deployed in {duration(outcome.applied.seconds)}"
    if outcome.rolled_back is not None:
        undone = outcome.rolled_back
        equal = "the catalog is exactly as before" if undone.fingerprints_equal else "the catalog is NOT as before"
        return f"{outcome.environment}: rolled back ({undone.rung}), {equal}. Reason: {outcome.problem}"
    return f"{outcome.environment}: stopped, a person is needed. Reason: {outcome.problem}"


def outcome_markdown(outcome: Outcome, report: Path | None) -> str:
    """The result for Prefect's artifacts: the end first, then prediction beside what happened, then where to look."""
    parts = [f"# {_headline(outcome)}", outcome_line(outcome)]
    if outcome.at_risk:
        parts += ["## At risk", "\n".join(f"- {item}" for item in outcome.at_risk)]
    if outcome.rolled_back is not None:
        parts += [outcome.rolled_back.message]
    parts += ["## Predicted and real", _prediction(outcome), "## Where", _places(outcome, report)]
    return "\n\n".join(parts)


def _headline(outcome: Outcome) -> str:
    if outcome.applied is not None:
        return "Deployed"
    return "Rolled back" if outcome.rolled_back is not None else "A person is needed"


def _prediction(outcome: Outcome) -> str:
    proof = outcome.proof
    happened = duration(outcome.applied.seconds) if outcome.applied else "–"
    return table(
        ("", "rehearsed", "on the target"),
        (
            ("all migrations", duration(proof.predicted_seconds), happened),
            ("objects changed", len(proof.rehearsal.expected.objects), "the same" if outcome.applied else "–"),
        ),
    )


def _places(outcome: Outcome, report: Path | None) -> str:
    lines = [
        f"- deployment `{outcome.deployment.id}` in the journal of {outcome.environment}",
        f"- backup `{outcome.proof.backup.id}`, restored and compared before the target was touched",
    ]
    if report is not None:
        lines.append(f"- full report: `{report}`")
    return "\n".join(lines)


def _plural(count: int) -> str:
    return "migration" if count == 1 else "migrations"
