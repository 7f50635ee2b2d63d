"""What a deployment means for those who use the database meanwhile: whether anybody would notice. Pure.

A plan is *additive* unless a reason is found that it is not: it is destructive (takes away what the running release
uses, or what no revert brings back), it rewrites a table, or it locks somebody out for longer than a request may wait.
The rehearsal has measured the last two; before it, only what is certain counts.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wedsync_db.model import Finding, HeldLock, Licence, Migration, MigrationProof, Plan, Rehearsal, Severity


class Impact(enum.StrEnum):
    """Why a migration is not merely additive."""

    DESTRUCTIVE = "destructive"
    REWRITING = "rewriting"
    LOCKING = "locking"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing about one migration that somebody would notice; `why` completes "it …"."""

    impact: Impact
    migration: str
    why: str


@dataclass(frozen=True, slots=True)
class Work:
    """What is still to be done to a target: seconds there, seconds back, and why it is not additive (none: it is)."""

    seconds: float = 0.0
    roll_back_seconds: float = 0.0
    reasons: tuple[Reason, ...] = ()


NO_WORK = Work()

# the rules of lint that stand for each. Whether the others hurt depends on sizes, which only the rehearsal knows
_CERTAIN: Mapping[str, Impact] = dict.fromkeys(("TAB-1", "TAB-2", "TAB-5", "COL-5", "COL-6"), Impact.DESTRUCTIVE)
_SUSPECTED: Mapping[str, Impact] = {
    **dict.fromkeys(("COL-1", "COL-3", "COL-4", "TAB-3"), Impact.REWRITING),
    **dict.fromkeys(("IDX-1", "IDX-2", "IDX-3", "TAB-4", "DML-1"), Impact.LOCKING),
    **dict.fromkeys(("CON-1", "CON-2", "CON-3", "CON-4", "CON-5", "CON-6", "CON-7"), Impact.LOCKING),
}
# who holds one of these keeps others from writing
_IN_THE_WAY = frozenset({"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"})
# what a release names in its queries
_USED = frozenset(
    {"schema", "table", "view", "materialized view", "foreign table", "column", "sequence", "function", "procedure"}
)


def work_planned(plan: Plan) -> Work:
    """What is known from the files alone: how long it takes is not."""
    known = {m.id for m in plan.pending}
    return Work(reasons=(*_declared(plan.pending), *_linted(plan.findings, known, _CERTAIN)))


def work_rehearsed(
    plan: Plan, rehearsal: Rehearsal, pending: Sequence[Migration], *, brief_seconds: float, together: bool
) -> Work:
    """What is known after the rehearsal about those of the plan's migrations that are still `pending`.

    `brief_seconds` is how long a request may have to wait for a lock; with `together` the migrations share one
    transaction, so that the first one's locks are held until the last one is done. What was done before has to be
    rolled back too if the rest fails.
    """
    known = {m.id for m in pending}
    proofs = [p for p in rehearsal.proofs if p.migration in known]
    seconds = sum(p.seconds_up for p in proofs)
    rules = _CERTAIN if rehearsal.complete else {**_CERTAIN, **_SUSPECTED}
    reasons = (
        *_declared(pending),
        *_linted(plan.findings, known, rules),
        *_lossy(proofs, complete=rehearsal.complete),
        *_dropping(rehearsal, proofs),
        *_rewriting(rehearsal, known),
        *_locking(rehearsal, proofs, brief_seconds, seconds if together else None),
    )
    return Work(seconds, sum(p.seconds_up for p in rehearsal.proofs), tuple(dict.fromkeys(reasons)))


def _declared(pending: Sequence[Migration]) -> Iterator[Reason]:
    for migration in pending:
        if migration.loses:
            yield Reason(Impact.DESTRUCTIVE, migration.id, f"loses {migration.loses}")


def _linted(findings: Sequence[Finding], known: set[str], rules: Mapping[str, Impact]) -> Iterator[Reason]:
    for finding in findings:
        if finding.migration in known and finding.severity is Severity.WARNING and finding.rule in rules:
            yield Reason(rules[finding.rule], finding.migration, f"does what {finding.rule} warns of")


def _lossy(proofs: Sequence[MigrationProof], *, complete: bool) -> Iterator[Reason]:
    for proof in proofs:
        if complete and proof.licence is not Licence.EXACT:
            yield Reason(Impact.DESTRUCTIVE, proof.migration, "cannot be taken back exactly")


def _dropping(rehearsal: Rehearsal, proofs: Sequence[MigrationProof]) -> Iterator[Reason]:
    """What is gone afterwards; what the plan makes and drops again was never there for anybody."""
    gone = {name for name, (_, after) in rehearsal.expected.objects.items() if after is None}
    for proof in proofs:
        changed = proof.change.objects if proof.change else {}
        for name in sorted(gone & changed.keys()):
            if name.partition(":")[0] in _USED and changed[name][1] is None:
                yield Reason(Impact.DESTRUCTIVE, proof.migration, f"takes away {name.replace(':', ' ', 1)}")
                break


def _rewriting(rehearsal: Rehearsal, known: set[str]) -> Iterator[Reason]:
    for statement in rehearsal.statements:
        for relation in statement.rewrites:
            if statement.migration in known and not _is_made(rehearsal, relation):
                yield Reason(Impact.REWRITING, statement.migration, f"rewrites {relation}")


def _locking(
    rehearsal: Rehearsal, proofs: Sequence[MigrationProof], brief: float, together: float | None
) -> Iterator[Reason]:
    for proof in proofs:
        for lock in proof.locks:
            seconds = lock.seconds if together is None else together
            if seconds > brief and _is_in_the_way(rehearsal, proof, lock) and not _is_made(rehearsal, lock.relation):
                yield Reason(Impact.LOCKING, proof.migration, f"locks {lock.relation} for {seconds:.1f} s")


def _is_in_the_way(rehearsal: Rehearsal, proof: MigrationProof, lock: HeldLock) -> bool:
    """Whether others would wait to write; rows that were only added are nobody's yet."""
    if lock.mode != "RowExclusiveLock":
        return lock.mode in _IN_THE_WAY
    ours = (s for s in rehearsal.statements if s.migration == proof.migration and s.kind != "InsertStmt")
    return any(seen.relation == lock.relation and seen.mode == lock.mode for s in ours for seen in s.locks)


def _is_made(rehearsal: Rehearsal, relation: str) -> bool:
    """Whether the plan itself makes the relation: then nobody uses it yet."""
    return rehearsal.expected.objects.get(f"table:{relation}", ("", ""))[0] is None
