"""What a person reads before saying yes to a deployment, and what is kept of the answer."""

from __future__ import annotations

from datetime import UTC, datetime

from wedsync_db.model import Approval, Migration, Plan, Proof
from wedsync_db.report.markdown import counted, duration, findings_list, untagged
from wedsync_db.report.rehearsal import licences_table, locks_table, longest_wait, notes_list
from wedsync_db.report.status import plan_text, rehearsal_text


def approval_markdown(proof: Proof, environment: str, until: datetime) -> str:
    """The form's page: what happens and who waits first, then plan, locks, reverts and notes."""
    plan, rehearsal = proof.plan, proof.rehearsal
    parts = [
        f"# Deploy {counted(len(plan.pending), 'migration')} to {environment}?",
        _summary(proof, until),
        "## What runs\n\n" + _pending(plan),
        *(["## Findings\n\n" + findings_list(plan.findings)] if plan.findings else []),
        "## Who would wait\n\n" + locks_table(rehearsal),
        "## Can it be undone without anybody looking\n\n" + licences_table(rehearsal, plan),
        *(["## Notes\n\n" + notes_list(rehearsal.notes)] if rehearsal.notes else []),
        f"Statement by statement: artifact `rehearsal-{environment}` of this run.",
    ]
    return "\n\n".join(parts) + "\n"


def approval_text(proof: Proof, environment: str) -> str:
    """The same for a terminal."""
    wait = longest_wait(proof.rehearsal).replace("`", "")
    shown = (plan_text(proof.plan, environment), rehearsal_text(proof.rehearsal), f"{wait} {_prediction(proof)}")
    return "\n".join(shown)


def approval_line(approval: Approval) -> str:
    """Who said yes, how that is known, and why: `approved by Ada (signed in to Prefect): the release of June`."""
    return f"approved by {approval.by} ({approval.known})" + (f": {approval.reason}" if approval.reason else "")


def _summary(proof: Proof, until: datetime) -> str:
    weaker = [] if proof.rehearsal.complete else ["**The rehearsal was weaker than it should be: see the notes.**"]
    bound = f"plan `{proof.plan.hash[:12]}` on catalog `{proof.rehearsal.fingerprint_before[:12]}`"
    lines = (
        *weaker,
        longest_wait(proof.rehearsal),
        f"{_prediction(proof)} Any failure is rolled back.",
        f"Your answer is for {bound}. When either changes meanwhile, it is rehearsed and asked again.",
        f"Without an answer by {until.astimezone(UTC):%H:%M on %d %B} UTC nothing is deployed.",
    )
    return "  \n".join(lines)


def _pending(plan: Plan) -> str:
    """A list and no table: the form is narrow."""
    return "\n".join(f"{position}. {_what_runs(m)}" for position, m in enumerate(plan.pending, 1))


def _what_runs(migration: Migration) -> str:
    how = "" if migration.transactional else ", one at a time outside a transaction"
    back = "" if migration.revert else ", **no revert**"
    loses = f", loses {untagged(migration.loses)}" if migration.loses else ""
    return f"{migration.id}: {counted(len(migration.deploy.statements), 'statement')}{how}{back}{loses}"


def _prediction(proof: Proof) -> str:
    return f"On the restored copy the migrations took {duration(proof.predicted_seconds)}."
