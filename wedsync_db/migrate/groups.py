"""Which migrations commit together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from wedsync_db.model import HeldLock, Migration, MigrationProof, Plan
from wedsync_db.postgres.parse import tree

Group = tuple[Migration, ...]

# Half of the default lock table (64 max_locks_per_transaction x 100 max_connections): a transaction that fills it makes
# the statements of *other* sessions fail. A table with key and TOAST takes five entries, what only names it none.
_LOCK_ENTRIES = 3200
_ENTRIES_OF = {"CreateStmt": 5, "CommentStmt": 0, "InsertStmt": 1, "VariableSetStmt": 0, "GrantStmt": 0}
_ENTRIES_OTHERWISE = 1


def groups(plan: Plan, proofs: Sequence[MigrationProof], atomic: str, hold_budget: float) -> tuple[Group, ...]:
    """The pending migrations as transactions, in order.

    With `atomic` "deployment" a run of transactional migrations is one transaction if the locks, which are taken at its
    start, are held no longer than `hold_budget` seconds by the rehearsal's measure; else each is its own. What was not
    rehearsed counts as nothing. A run that would take more than half of a default server's lock table is cut all the
    same, and so is one before a migration that names an enum value which another one adds. A non-transactional
    migration is always alone.
    """
    by_id = {p.migration: p for p in proofs}
    return tuple(_groups(plan.pending, by_id, atomic, hold_budget))


def hold_seconds(group: Group, proofs: Mapping[str, MigrationProof]) -> float:
    """How long locks on what is there before would be held if these committed together: all of it, or nothing."""
    known = [proofs[m.id] for m in group if m.id in proofs]
    return sum(p.seconds_up for p in known) if any(p.locks for p in known) else 0.0


def as_held(
    plan: Plan, proofs: Sequence[MigrationProof], atomic: str, hold_budget: float
) -> tuple[MigrationProof, ...]:
    """The proofs with their locks held as on the target: taken before a transaction's first statement, until COMMIT."""
    by_id = {p.migration: p for p in proofs}
    held = {
        m.id: hold_seconds(group, by_id)
        for group in groups(plan, proofs, atomic, hold_budget)
        for m in group
        if m.transactional
    }
    return tuple(replace(p, locks=_for_at_least(held.get(p.migration, 0.0), p.locks)) for p in proofs)


def _for_at_least(seconds: float, locks: Sequence[HeldLock]) -> tuple[HeldLock, ...]:
    return tuple(replace(lock, seconds=max(lock.seconds, seconds)) for lock in locks)


def _groups(pending: Group, proofs: Mapping[str, MigrationProof], atomic: str, hold_budget: float) -> Iterator[Group]:
    for transactional, run in groupby(pending, key=lambda m: m.transactional):
        members = tuple(run)
        if transactional and atomic == "deployment" and hold_seconds(members, proofs) <= hold_budget:
            for part in _between_enum_values(members):
                yield from _within_lock_table(part)
        else:
            yield from ((m,) for m in members)


def _between_enum_values(run: Group) -> Iterator[Group]:
    """Cut where a migration names a value that one before it adds: PostgreSQL lets it be used only once committed."""
    start, added = 0, frozenset[str]()
    for index, migration in enumerate(run):
        if any(value in text for text in _texts(migration) for value in added):
            yield run[start:index]
            start, added = index, frozenset()
        added |= _new_enum_values(migration)
    yield run[start:]


def _new_enum_values(migration: Migration) -> frozenset[str]:
    """As they stand in SQL, between quotes; one that is renamed was there before."""
    trees = (tree(s).fields for s in migration.deploy.statements if s.kind == "AlterEnumStmt")
    return frozenset("'" + t["newVal"].replace("'", "''") + "'" for t in trees if "newVal" in t and "oldVal" not in t)


def _texts(migration: Migration) -> Iterator[str]:
    return (script.text for script in (migration.deploy, migration.verify) if script)


def _within_lock_table(run: Group) -> Iterator[Group]:
    start, entries = 0, 0
    for index, migration in enumerate(run):
        more = sum(_ENTRIES_OF.get(s.kind, _ENTRIES_OTHERWISE) for s in migration.deploy.statements)
        if index > start and entries + more > _LOCK_ENTRIES:
            yield run[start:index]
            start, entries = index, 0
        entries += more
    yield run[start:]
