"""Status, plan and rehearsal as text for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wedsync_db.model import Plan, Rehearsal, Severity
from wedsync_db.report.findings import finding_text
from wedsync_db.report.markdown import duration

if TYPE_CHECKING:
    from wedsync_db.migrate.status import Status


def status_text(status: Status, environment: str) -> str:
    """What is applied, pending and wrong; who holds the target; what a cancellation would do."""
    lines = [f"{environment}: {len(status.plan.applied)} applied, {len(status.plan.pending)} pending"]
    lines += [f"  applied  {e.id}  {e.applied_at:%Y-%m-%d %H:%M:%S %Z} by {e.applied_by}" for e in status.plan.applied]
    lines += [f"  pending  {m.id}" for m in status.plan.pending]
    lines += [finding_text(f) for f in status.plan.findings if f.severity is not Severity.NOTE]
    lines.append(f"deployment: {status.deployment_by or 'none runs'}")
    lines.append(f"lock: {status.held_by or 'free'}")
    lines.append(f"if cancelled now: {status.if_cancelled}")
    return "\n".join(lines)


def plan_text(plan: Plan, environment: str) -> str:
    """What would run, in order, and what was found about it."""
    if not plan.pending and not plan.findings:
        return f"{environment} is up to date: {len(plan.applied)} migrations applied, none pending"
    lines = [f"{environment}: {len(plan.pending)} pending, {len(plan.applied)} applied, plan {plan.hash[:12]}"]
    for position, m in enumerate(plan.pending, 1):
        how = "" if m.transactional else ", one statement at a time"
        count = f"{len(m.deploy.statements)} statements"
        lines.append(f"  {position}. {m.id}  {count}{how}{'' if m.revert else ', no revert'}")
    lines += [finding_text(f) for f in plan.findings]
    return "\n".join(lines)


def rehearsal_text(rehearsal: Rehearsal, plan: Plan) -> str:
    """What the rehearsal found out: licence and cost of each migration, and the locks it needs."""
    lines = []
    for proof in rehearsal.proofs:
        down = f", down {duration(proof.seconds_down)}" if proof.seconds_down is not None else ""
        lines.append(f"{proof.migration}: revert {proof.licence.value}, up {duration(proof.seconds_up)}{down}")
        lines += [f"    {reason}" for reason in proof.reasons]
        lines += [f"    locks {lock.relation} {lock.mode} for {duration(lock.seconds)}" for lock in proof.locks]
    lines += [f"note: {note}" for note in rehearsal.notes]
    lines.append(f"{len(plan.pending)} migrations proven up, down and up again in {duration(rehearsal.seconds)}")
    return "\n".join(lines)
