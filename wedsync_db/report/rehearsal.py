"""What a rehearsal found out, for whoever decides at night: may it run, who waits how long, and can it be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import shorten

from wedsync_db.model import HeldLock, Licence, MigrationProof, Plan, Rehearsal, TracedStatement
from wedsync_db.report.markdown import counted, duration, size, table, untagged

# who waits for a lock of each mode (PostgreSQL's manual, table 13.2), the worst first
_WAITING: Mapping[str, str] = {
    "AccessExclusiveLock": "**everybody**",
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
_LONGEST_SQL = 44  # with what stands beside it, as wide as a page of Prefect's
_LONGEST_NOTE = 200
_MOST_STATEMENTS = 20  # the full report has all of them
_READERS_WAIT = _ORDER[0]


def rehearsal_markdown(rehearsal: Rehearsal, plan: Plan) -> str:
    """The whole rehearsal as Markdown: the answer first, then locks, reverts, statements and notes."""
    parts = [f"# Rehearsal: {_headline(rehearsal, plan)}", _summary(rehearsal, plan)]
    if plan.pending:
        parts += _details(rehearsal, plan)
    if rehearsal.notes:
        parts.append("## Notes\n\n" + notes_list(rehearsal.notes))
    return "\n\n".join(parts) + "\n"


def _details(rehearsal: Rehearsal, plan: Plan) -> list[str]:
    return [
        "## Who would wait\n\n" + locks_table(rehearsal),
        "## Can it be undone without anybody looking\n\n" + licences_table(rehearsal, plan),
        "## What takes its time\n\n" + _statements(rehearsal),
    ]


def _headline(rehearsal: Rehearsal, plan: Plan) -> str:
    exact = sum(p.licence is Licence.EXACT for p in rehearsal.proofs)
    if not plan.pending:
        return "nothing to do"
    if exact == len(plan.pending):
        return f"{counted(exact, 'migration')} {'works' if exact == 1 else 'work'} and can be undone without loss"
    pending, inexact = len(plan.pending), len(plan.pending) - exact
    return (
        f"{len(rehearsal.proofs)} of {counted(pending, 'migration')} work, {inexact} cannot be undone without a person"
    )


def _summary(rehearsal: Rehearsal, plan: Plan) -> str:
    data = f"a restored copy of backup `{rehearsal.backup_id}`" if rehearsal.backup_id else "an empty database"
    version = f"{rehearsal.server_version // 10_000}.{rehearsal.server_version % 10_000}"
    changed = counted(len(rehearsal.expected.objects), "object")
    lines = [
        f"The catalog changes in {changed}; the target has to change in the same.",
        f"On {data}, PostgreSQL {version}, in {duration(rehearsal.seconds)} · plan `{plan.hash[:12]}`",
    ]
    if plan.pending and len(rehearsal.proofs) == len(plan.pending):
        lines.insert(0, longest_wait(rehearsal))
    if not rehearsal.complete:
        lines.insert(0, "**Weaker than it should be: see the notes.**")
    return "  \n".join(lines)


def notes_list(notes: Sequence[str]) -> str:
    """A line for each note, as long as is read; one that names every table of a release is in the full report."""
    return "\n".join(f"- {untagged(shorten(note, _LONGEST_NOTE, placeholder=' …'))}" for note in notes)


def waited_for(rehearsal: Rehearsal) -> list[tuple[MigrationProof, HeldLock]]:
    """The locks that somebody may have to wait for: a table that the plan itself makes is nobody's yet."""
    made = {name for name, (before, _) in rehearsal.expected.objects.items() if before is None}
    return [(p, lock) for p in rehearsal.proofs for lock in p.locks if f"table:{lock.relation}" not in made]


def longest_wait(rehearsal: Rehearsal) -> str:
    """What is asked first at night: how long the application's readers would stand still."""
    held = [lock for _, lock in waited_for(rehearsal) if lock.mode == _READERS_WAIT]
    if not held:
        return "No reader has to wait."
    longest = max(held, key=lambda lock: lock.seconds)
    return f"Readers wait {duration(longest.seconds)} at the longest, for `{longest.relation}`."


def locks_table(rehearsal: Rehearsal) -> str:
    """What is locked and who would wait for how long, the worst first; a line for all that lock a table in one mode."""
    found: dict[tuple[str, str], list[tuple[MigrationProof, HeldLock]]] = {}
    for proof, lock in sorted(waited_for(rehearsal), key=_severity):
        found.setdefault((lock.relation, lock.mode), []).append((proof, lock))
    if not found:
        return "Nobody: nothing that is there already is locked."
    return table(("table", "waiting", "held", "lock", "migration"), (_lock(*key, ones) for key, ones in found.items()))


def _lock(relation: str, mode: str, ones: Sequence[tuple[MigrationProof, HeldLock]]) -> tuple[str, ...]:
    """The first is the longest. All names of modes end in the same word, for which the page has no room."""
    (first, longest), *others = ones
    migrations = f"{first.migration}, {len(others)} more" if others else first.migration
    return (f"`{relation}`", _WAITING[mode], duration(longest.seconds), mode.removesuffix("Lock"), migrations)


def _severity(item: tuple[MigrationProof, HeldLock]) -> tuple[int, float, str]:
    _, lock = item
    return _ORDER.index(lock.mode), -lock.seconds, lock.relation


def licences_table(rehearsal: Rehearsal, plan: Plan) -> str:
    """Which reverts may run unattended, and what they took.

    Reasons stand below: a cell is not wrapped in the browser, and a long one pushes the rest out of sight.
    """
    rows = table(
        ("migration", "undo", "up", "down", "WAL"), (_licence(m.id, rehearsal.proof(m.id)) for m in plan.pending)
    )
    reasons = [f"- {p.migration}: {untagged('; '.join(p.reasons))}" for p in rehearsal.proofs if p.reasons]
    return "\n\n".join([rows, *(["\n".join(reasons)] if reasons else [])])


def _licence(migration: str, proof: MigrationProof | None) -> tuple[str, ...]:
    if proof is None:
        return (migration, "**no**, not rehearsed", "–", "–", "–")
    down = "–" if proof.seconds_down is None else duration(proof.seconds_down)
    return (migration, _LICENCES[proof.licence], duration(proof.seconds_up), down, size(proof.wal_bytes))


def _statements(rehearsal: Rehearsal) -> str:
    shown = _worth_a_look(rehearsal.statements)
    parts = [table(("where", "statement", "took", "rows", "WAL"), map(_statement, shown))]
    whole = [line for s in shown for line in _whole_tables(s)]
    if whole:
        parts.append("\n".join(whole))
    if len(shown) < len(rehearsal.statements):
        parts.append(f"{counted(len(rehearsal.statements) - len(shown), 'quicker statement')} left out.")
    return "\n\n".join(parts)


def _worth_a_look(statements: Sequence[TracedStatement]) -> list[TracedStatement]:
    """Those that go through whole tables and the slowest others, in the order in which they run."""
    worst = sorted(statements, key=lambda s: (not s.rewrites, not s.scans, -s.seconds))[:_MOST_STATEMENTS]
    chosen = set(map(id, worst))
    return [s for s in statements if id(s) in chosen]


def _statement(s: TracedStatement) -> tuple[str, ...]:
    rows = f"{s.rows:,}" if s.rows else "–"
    return (f"{s.migration}:{s.line}", f"`{_short(s.sql)}`", duration(s.seconds), rows, size(s.wal_bytes))


def _whole_tables(s: TracedStatement) -> list[str]:
    lines = [f"- {s.migration}:{s.line} **rewrites** `{relation}`" for relation in s.rewrites]
    return lines + [
        f"- {s.migration}:{s.line} reads all {counted(n, 'row')} of `{relation}`" for relation, n in s.scans
    ]


def _short(sql: str) -> str:
    text = " ".join(sql.replace("`", "'").split())
    return text if len(text) <= _LONGEST_SQL else text[: _LONGEST_SQL - 1] + "…"
