"""Status, plan and rehearsal as text for the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from wedsync_db.model import LedgerEntry, Licence, Plan, Rehearsal, Severity
from wedsync_db.report.findings import finding_text
from wedsync_db.report.markdown import counted, duration

if TYPE_CHECKING:
    from wedsync_db.migrate.status import Status

_NEWEST = 10  # applied migrations that status shows; the others are in --json


def status_text(status: Status, environment: str) -> str:
    """What is applied, pending and wrong; is it safe now; who holds the target; what a cancellation would do."""
    plan = status.plan
    lines = [f"{environment}: {len(plan.applied)} applied, {len(plan.pending)} pending"]
    lines += _applied(plan.applied)
    lines += [f"  pending  {m.id}" for m in plan.pending]
    lines += [finding_text(f) for f in plan.findings if f.severity is not Severity.NOTE]
    lines += _safety(status)
    lines.append(f"deployment: {status.deployment_by or 'none runs'}")
    lines.append(f"lock: {status.held_by or 'free'}")
    lines.append(f"if cancelled now: {status.if_cancelled}")
    return "\n".join(lines)


def plan_text(plan: Plan, environment: str) -> str:
    """What would run, in order, and what was found about it."""
    if not plan.pending and not plan.findings:
        return f"{environment} is up to date: {counted(len(plan.applied), 'migration')} applied, none pending"
    lines = [f"{environment}: {len(plan.pending)} pending, {len(plan.applied)} applied, plan {plan.hash[:12]}"]
    for position, m in enumerate(plan.pending, 1):
        how = "" if m.transactional else ", one at a time without a transaction"
        count = counted(len(m.deploy.statements), "statement")
        lines.append(f"  {position}. {m.id}  {count}{how}{'' if m.revert else ', no revert'}")
    lines += [finding_text(f) for f in plan.findings]
    return "\n".join(lines)


def rehearsal_text(rehearsal: Rehearsal) -> str:
    """What the rehearsal found out: licence and cost of each migration, and the locks it needs."""
    lines = []
    for proof in rehearsal.proofs:
        down = f", down {duration(proof.seconds_down)}" if proof.seconds_down is not None else ""
        lines.append(f"{proof.migration}: revert {proof.licence.value}, up {duration(proof.seconds_up)}{down}")
        lines += [f"    {reason}" for reason in proof.reasons]
        lines += [f"    locks {lock.relation} {lock.mode} for {duration(lock.seconds)}" for lock in proof.locks]
    lines += [f"note: {note}" for note in rehearsal.notes]
    licences = Counter(proof.licence for proof in rehearsal.proofs)
    reverts = ", ".join(f"{licences[one]} {one.value}" for one in Licence if licences[one])
    done = counted(len(rehearsal.proofs), "migration")
    lines.append(f"{done} rehearsed in {duration(rehearsal.seconds)}; reverts: {reverts or 'none'}")
    return "\n".join(lines)


def _applied(entries: tuple[LedgerEntry, ...]) -> list[str]:
    """The newest of them, and how many there were before."""
    older = len(entries) - _NEWEST
    more = [f"  applied  … {older} before"] if older > 0 else []
    return more + [
        f"  applied  {e.id}  {e.applied_at:%Y-%m-%d %H:%M:%S %Z} by {e.applied_by}" for e in entries[-_NEWEST:]
    ]


def _safety(status: Status) -> list[str]:
    """Whether the guard would let a deployment start at this moment, and what speaks against it."""
    refused = [f for f in status.guard if f.severity is Severity.ERROR]
    said = [f for f in status.guard if f.severity is not Severity.NOTE]
    return [f"guard: {'would refuse now' if refused else 'open'}", *(finding_text(f) for f in said)]
