"""The order in which migrations run: what they require first, and the number where that leaves a choice."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence

from wedsync_db.model import Finding, Migration, Severity


def ordered(
    migrations: Iterable[Migration], known: Collection[str] = ()
) -> tuple[tuple[Migration, ...], tuple[Finding, ...]]:
    """The migrations in the order they run, and what keeps that order from being right.

    Requirements among `known` are met; one that is neither there nor among the migrations is an error. The members of
    a cycle, and what hangs on them, come last by number, so that no migration is ever lost from the answer.
    """
    by_id = {m.id: m for m in sorted(migrations, key=_rank)}
    needs = {m.id: {r for r in m.requires if r in by_id} for m in by_id.values()}
    unknown = [_undeclared(m, r) for m in by_id.values() for r in m.requires if r not in by_id and r not in known]
    names = _sorted(needs, {name: _rank(m) for name, m in by_id.items()})
    left = [name for name in by_id if name not in set(names)]
    cycles = [_cyclic(by_id[cycle[0]], cycle) for cycle in _cycles(left, needs)]
    return tuple(by_id[name] for name in (*names, *left)), (*unknown, *cycles)


def late(pending: Iterable[Migration], applied: Iterable[int]) -> tuple[Finding, ...]:
    """An error for each pending migration whose number lies below the highest applied one."""
    highest = max(applied, default=-1)
    return tuple(_late(m, highest) for m in pending if m.number < highest)


def _rank(migration: Migration) -> tuple[int, str]:
    return migration.number, migration.id


def _sorted(needs: Mapping[str, Collection[str]], rank: Mapping[str, tuple[int, str]]) -> list[str]:
    waits = {name: len(required) for name, required in needs.items()}
    dependants: dict[str, list[str]] = {name: [] for name in needs}
    for name, required in needs.items():
        for other in required:
            dependants[other].append(name)
    ready = [rank[name] for name, count in waits.items() if not count]
    heapq.heapify(ready)
    done = []
    while ready:
        name = heapq.heappop(ready)[1]
        done.append(name)
        for other in dependants[name]:
            waits[other] -= 1
            if not waits[other]:
                heapq.heappush(ready, rank[other])
    return done


def _cycles(left: Sequence[str], needs: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Each cycle once, from its lowest member; walking along requirements from anywhere in `left` ends in one."""
    open_names = set(left)
    found: list[list[str]] = []
    for start in left:
        path: list[str] = []
        name = start
        while name not in path:
            path.append(name)
            name = min(n for n in needs[name] if n in open_names)
        cycle = path[path.index(name) :]
        first = cycle.index(min(cycle))
        turned = cycle[first:] + cycle[:first]
        found += [turned] if turned not in found else []
    return found


def _undeclared(migration: Migration, required: str) -> Finding:
    message = f"{migration.id} requires {required}, which is neither applied nor on disk"
    return _error("undeclared", migration, message, "correct the name after -- requires:, or add that migration")


def _cyclic(migration: Migration, cycle: Sequence[str]) -> Finding:
    message = f"migrations require each other: {' → '.join((*cycle, cycle[0]))}"
    return _error("cycle", migration, message, "drop one -- requires: line of the circle")


def _late(migration: Migration, highest: int) -> Finding:
    message = f"{migration.id} is late: {highest:04} is already applied"
    return _error("late", migration, message, "give it a number above the highest applied one")


def _error(rule: str, migration: Migration, message: str, hint: str) -> Finding:
    path = migration.deploy.path
    return Finding(rule, Severity.ERROR, message, hint=hint, migration=migration.id, path=path)
