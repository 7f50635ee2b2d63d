"""How a deployment ended, in one line and as a page."""

from __future__ import annotations

from pathlib import Path

from wedsync_db.model import Outcome
from wedsync_db.report.approval import approval_line
from wedsync_db.report.markdown import counted, duration, table, untagged


def outcome_line(outcome: Outcome) -> str:
    """The end in one line: what was done, or what failed and what the database is like now."""
    if outcome.applied is not None:
        done = counted(len(outcome.applied.migrations), "migration")
        return f"{outcome.environment}: {done} deployed in {duration(outcome.applied.seconds)}"
    if outcome.rolled_back is not None:
        undone = outcome.rolled_back
        equal = "the catalog is exactly as before" if undone.fingerprints_equal else "the catalog is NOT as before"
        return f"{outcome.environment}: rolled back ({undone.rung}), {equal}. Reason: {outcome.problem}"
    return f"{outcome.environment}: stopped, a person is needed. Reason: {outcome.problem}"


def outcome_markdown(outcome: Outcome, report: Path | None) -> str:
    """The result for Prefect's artifacts: the end first, then prediction beside what happened, then where to look."""
    parts = [f"# {headline(outcome)}", untagged(outcome_line(outcome))]
    if outcome.at_risk:
        parts += ["## At risk", "\n".join(f"- {untagged(item)}" for item in outcome.at_risk)]
    if outcome.rolled_back is not None:
        parts.append(untagged(outcome.rolled_back.message))
    if next_steps(outcome):
        parts += ["## What to do", "\n".join(f"- {step}" for step in next_steps(outcome))]
    parts += ["## Predicted and real", _prediction(outcome), "## Where", _places(outcome, report)]
    return "\n\n".join(parts)


def headline(outcome: Outcome) -> str:
    """How it ended, in a few words."""
    if outcome.applied is not None:
        return "Deployed"
    return "Rolled back" if outcome.rolled_back is not None else "A person is needed"


def next_steps(outcome: Outcome) -> tuple[str, ...]:
    """What a person does now, in order; nothing after a success."""
    name = outcome.environment
    if outcome.applied is not None:
        return ()
    if outcome.rolled_back is not None:
        again = "Mend what the reason names, and deploy again: what was pending still is."
        others = "Find out who else changes this schema; the journal's message names what differs."
        return (again,) if outcome.rolled_back.fingerprints_equal else (others, again)
    if not outcome.at_risk:  # it only waits for locks
        return (f"Nothing would be lost: run `recover {name}` when those who hold the locks have finished.",)
    return (
        f"Look: `status {name}` says what is applied now.",
        "Keep it: mend it with a new migration, and deploy that.",
        f"Or take it back and lose what is at risk: `revert {name} --to ID --accept-loss {name} --reason WHY`.",
    )


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
    if outcome.proof.approval is not None:
        lines.insert(0, f"- {untagged(approval_line(outcome.proof.approval))}")
    if report is not None:
        lines.append(f"- full report: `{report}`")
    return "\n".join(lines)
