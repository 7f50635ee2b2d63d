"""What a rehearsal found out, for whoever decides at night: may it run, who waits how long, and can it be undone."""

from __future__ import annotations

from collections.abc import Mapping

from wedsync_db.model import HeldLock, Licence, MigrationProof, Plan, Rehearsal, TracedStatement
from wedsync_db.report.markdown import duration, size, table

# who waits for a lock of each mode (PostgreSQL's manual, table 13.2), the worst first
_WAITING: Mapping[str, str] = {
    "AccessExclusiveLock": "**everybody, readers too**",
    "ExclusiveLock": "all writers",
    "ShareRowExclusiveLock": "all writers",
    "ShareLock": "all writers",
    "ShareUpdateExclusiveLock": "schema changes and vacuum",
    "RowExclusiveLock": "schema changes",
    "RowShareLock": "schema changes",
    "AccessShareLock": "schema changes",
}
_ORDER = list(_WAITING)
_LICENCES: Mapping[Licence, str] = {
    Licence.EXACT: "yes, exact",
    Licence.WEAKER: "**a person decides**",
    Licence.NONE: "**no**",
}
_LONGEST_SQL = 70


def rehearsal_markdown(rehearsal: Rehearsal, plan: Plan) -> str:
    """The whole rehearsal as Markdown: the answer first, then locks, reverts, statements and notes."""
    parts = [f"# Rehearsal: {_headline(rehearsal, plan)}", _summary(rehearsal, plan)]
    if plan.pending:
        parts += _details(rehearsal, plan)
    if rehearsal.notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {note}" for note in rehearsal.notes))
    return "\n\n".join(parts) + "\n"


def _details(rehearsal: Rehearsal, plan: Plan) -> list[str]:
    return [
        "## Who would wait\n\n" + _locks(rehearsal),
        "## Can it be undone without anybody looking\n\n" + _licences(rehearsal, plan),
        "## Statement by statement\n\n" + _statements(rehearsal),
    ]


def _headline(rehearsal: Rehearsal, plan: Plan) -> str:
    exact = sum(p.licence is Licence.EXACT for p in rehearsal.proofs)
    if not plan.pending:
        return "nothing to do"
    if exact == len(plan.pending):
        return f"{exact} of {exact} work and can be undone without loss"
    inexact = len(plan.pending) - exact
    return f"{len(rehearsal.proofs)} of {len(plan.pending)} work, {inexact} cannot be undone without a person"


def _summary(rehearsal: Rehearsal, plan: Plan) -> str:
    data = f"a restored copy of backup `{rehearsal.backup_id}`" if rehearsal.backup_id else "an empty database"
    version = f"{rehearsal.server_version // 10_000}.{rehearsal.server_version % 10_000}"
    lines = [
        f"On {data}, PostgreSQL {version}, in {duration(rehearsal.seconds)} · plan `{plan.hash[:12]}`",
        f"The catalog changes in {len(rehearsal.expected.objects)} objects; the target has to change in the same.",
    ]
    if not rehearsal.complete:
        lines.append("**Weaker than it should be: see the notes.**")
    return "  \n".join(lines)


def _locks(rehearsal: Rehearsal) -> str:
    held = [(p, lock) for p in rehearsal.proofs for lock in p.locks]
    if not held:
        return "Nobody: nothing that is there already is locked."
    rows = sorted(held, key=_severity)
    return table(
        ("table", "waiting", "held", "lock", "migration"),
        ((f"`{k.relation}`", _WAITING[k.mode], duration(k.seconds), k.mode, p.migration) for p, k in rows),
    )


def _severity(item: tuple[MigrationProof, HeldLock]) -> tuple[int, float, str]:
    _, lock = item
    return _ORDER.index(lock.mode), -lock.seconds, lock.relation


def _licences(rehearsal: Rehearsal, plan: Plan) -> str:
    return table(
        ("migration", "undo", "up", "down", "WAL", "why not"),
        (_licence(m.id, rehearsal.proof(m.id)) for m in plan.pending),
    )


def _licence(migration: str, proof: MigrationProof | None) -> tuple[str, ...]:
    if proof is None:
        return (migration, "**no**", "–", "–", "–", "not rehearsed")
    down = "–" if proof.seconds_down is None else duration(proof.seconds_down)
    up, wal = duration(proof.seconds_up), size(proof.wal_bytes)
    return (migration, _LICENCES[proof.licence], up, down, wal, "; ".join(proof.reasons) or "–")


def _statements(rehearsal: Rehearsal) -> str:
    return table(
        ("where", "statement", "took", "rows", "WAL", "rewrites", "reads from end to end"),
        (_statement(s) for s in rehearsal.statements),
    )


def _statement(s: TracedStatement) -> tuple[str, ...]:
    scans = ", ".join(f"{relation} ({tuples} rows)" for relation, tuples in s.scans)
    return (
        f"{s.migration}:{s.line}",
        f"`{_short(s.sql)}`",
        duration(s.seconds),
        str(s.rows) if s.rows else "–",
        size(s.wal_bytes),
        f"**{', '.join(s.rewrites)}**" if s.rewrites else "–",
        scans or "–",
    )


def _short(sql: str) -> str:
    text = " ".join(sql.replace("`", "'").split())
    return text if len(text) <= _LONGEST_SQL else text[: _LONGEST_SQL - 1] + "…"
