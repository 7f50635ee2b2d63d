"""What to do about each table and each row. Pure: three states come in, a decision goes out.

*Before* is the backup. *After* is the backup with the same migrations run on it once more, so it is what they made of
those rows. *Now* is the target. Where now is still as after, nobody has written since; where it is not, somebody has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

Values = tuple[str | None, ...]  # in their text form


@dataclass(frozen=True, slots=True)
class Column:
    """`kept`: the database sets it by itself on every update."""

    type: str
    generated: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as one of the three databases has it."""

    key: tuple[str, ...]
    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a table is compared. `columns` come back with a lost row; those at `judged` also alone."""

    relation: str
    key: tuple[str, ...]
    key_types: tuple[str, ...]
    columns: tuple[str, ...]
    types: tuple[str, ...]
    judged: tuple[int, ...]
    gone: tuple[str, ...]  # columns that are not there any more
    changed: tuple[str, ...]  # columns of another type now


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one row: bring it back, or set the columns at these positions; where a newer value stands."""

    insert: bool = False
    deleted: bool = False  # by somebody, since
    restore: tuple[int, ...] = ()
    conflicts: tuple[int, ...] = ()


def comparison(relation: str, before: Shape, after: Shape | None, now: Shape | None) -> Comparison | str:
    """How to compare a table, or why a person has to."""
    if now is None:
        return "the table is not there any more: bring it back with a new migration, then repair again"
    if not before.key:
        return "it has no primary key, so that rows cannot be matched"
    if before.key != now.key or (after and before.key != after.key):
        return "its primary key is another one now, so that rows cannot be matched"
    if changed := [name for name in before.key if before.columns[name].type != now.columns[name].type]:
        return f"its key has another type now: {', '.join(changed)}"
    return _comparison(relation, before, now)


def _comparison(relation: str, before: Shape, now: Shape) -> Comparison:
    there = {name: column for name, column in before.columns.items() if name in now.columns}
    writable = [n for n, column in there.items() if not column.generated and not now.columns[n].generated]
    same = tuple(n for n in writable if there[n].type == now.columns[n].type)
    return Comparison(
        relation,
        now.key,
        tuple(now.columns[n].type for n in now.key),
        same,
        tuple(now.columns[n].type for n in same),
        tuple(i for i, n in enumerate(same) if n not in now.key and not now.columns[n].kept),
        tuple(n for n, column in before.columns.items() if n not in now.columns and not column.generated),
        tuple(n for n in writable if n not in same),
    )


def is_lost(judged: Sequence[int], before: Values, after: Values | None) -> bool:
    """Whether the migrations took the row, or a value in it. What was NULL before is no value to be lost."""
    return after is None or any(before[i] is not None and before[i] != after[i] for i in judged)


def decide(judged: Sequence[int], before: Values, after: Values | None, now: Values | None) -> Decision:
    """What to do about a row that the migrations took, or took a value from."""
    if now is None:
        return Decision(insert=after is None, deleted=after is not None)
    lost = [i for i in judged if before[i] is not None and before[i] != now[i] and (not after or before[i] != after[i])]
    if after is None:  # it was taken away, and is there again: somebody made it anew
        return Decision(conflicts=tuple(lost))
    restore = tuple(i for i in lost if now[i] == after[i])
    return Decision(restore=restore, conflicts=tuple(i for i in lost if i not in restore))


def in_order(tables: Sequence[str], references: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """The tables, those referred to before those that refer to them; where they refer in a ring, by name."""
    waiting = {t: {to for of, to in references if of == t and to != t} & set(tables) for t in sorted(tables)}
    done: list[str] = []
    while waiting:
        ready = [t for t, needs in waiting.items() if needs <= set(done)] or [next(iter(waiting))]
        done += ready
        waiting = {t: needs for t, needs in waiting.items() if t not in ready}
    return tuple(done)
