"""From traced statements to the locks a migration takes and how long it holds them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from wedsync_db.migrate.acquire import strongest
from wedsync_db.model import HeldLock, Migration, TracedStatement

# what only reads: never in the way of anything but DDL, and never worth taking beforehand
_READING = frozenset({"AccessShareLock"})
_UNABLE_TO_CHANGE_ROWS = frozenset({"AccessShareLock", "RowShareLock"})


def held(
    migration: Migration, statements: Sequence[TracedStatement], tail: float, tables: AbstractSet[str]
) -> tuple[HeldLock, ...]:
    """The locks on `tables`, which were there before: for each the mode that stands for all, and the seconds held.

    In a transaction a lock is held from the statement that takes it until COMMIT, `tail` seconds after the last
    statement; the time that tracing itself took does not count. A statement outside of one holds it while it runs.
    """
    if migration.transactional:
        ends = [sum(s.seconds for s in statements[i:]) + tail for i in range(len(statements))]
    else:
        ends = [s.seconds for s in statements]
    taken = [
        HeldLock(lock.relation, lock.mode, seconds)
        for statement, seconds in zip(statements, ends, strict=True)
        for lock in statement.locks
        if lock.preexisting and lock.relation in tables and lock.mode not in _READING
    ]
    return tuple(_longest(taken, relation, mode) for relation, mode in strongest(taken))


def written(statements: Iterable[TracedStatement]) -> frozenset[str]:
    """The relations whose rows may have changed: whoever changes one keeps a lock that says so until COMMIT."""
    return frozenset(lock.relation for s in statements for lock in s.locks if changes_rows(lock.mode))


def changes_rows(mode: str) -> bool:
    """Whether a lock of this mode, as pg_locks names it, lets its holder change rows."""
    return mode not in _UNABLE_TO_CHANGE_ROWS


def _longest(taken: Sequence[HeldLock], relation: str, mode: str) -> HeldLock:
    """How long the mode was held; a mode that only stands for several together, from the first of these."""
    ours = [lock for lock in taken if lock.relation == relation]
    same = [lock for lock in ours if lock.mode == mode] or ours
    return HeldLock(relation, mode, max(lock.seconds for lock in same))
