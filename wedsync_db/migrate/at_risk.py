"""What a revert would lose, decided from what its transaction saw. Pure: the measuring is done in undo.py.

A revert loses something when rows or values that are there now would not be there afterwards, and the migration itself
did not put them there. What cannot be judged counts as lost. A risk is one line for people: counts and names, no value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from wedsync_db.model import Change, Fingerprint, Licence, Migration, MigrationProof, RelationContent

Default = Literal["none", "constant", "variable", "generated"]
_NAMED_OBJECTS = 5  # how many objects a risk names
_SETVAL = re.compile(r"\bsetval\b", re.IGNORECASE)


# -- what the catalog says about the relations a revert touches -------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Column:
    """A column by its number, which a rename keeps. `form` changes with type, modifier or collation."""

    number: int
    name: str
    form: str
    default: Default
    default_sql: str | None
    type: str


@dataclass(frozen=True, slots=True)
class Relation:
    """What can hold values: `kind` as pg_class.relkind; `storage` changes when the rows are written anew."""

    oid: int
    name: str
    kind: str
    storage: int
    columns: tuple[Column, ...] = ()
    owner: tuple[int, int] | None = None  # of a sequence: the table and the column number it belongs to

    def column(self, number: int) -> Column | None:
        """The column of this number, None if it is not there."""
        return next((c for c in self.columns if c.number == number), None)


Relations = Mapping[int, Relation]  # by oid, which a rename keeps
Positions = Mapping[int, Decimal | None]  # of sequences, by oid; None: never drawn from


@dataclass(frozen=True, slots=True)
class Survivor:
    """A table whose rows the revert may change: its name before and after, and those of each column that stays."""

    before: str
    after: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a revert does to what holds values. `removed_types` are composite ones, with values inside other tables."""

    removed_tables: tuple[Relation, ...]
    removed_columns: tuple[tuple[Relation, Column], ...]
    removed_sequences: tuple[Relation, ...]
    removed_types: tuple[Relation, ...]
    survivors: tuple[Survivor, ...]
    written_elsewhere: tuple[Relation, ...]
    others: frozenset[str]  # what was not there before

    @property
    def guarded(self) -> frozenset[str]:
        """The tables nobody else may write to from the look at them until COMMIT."""
        tables = {r.name for r in self.removed_tables} | {r.name for r, _ in self.removed_columns}
        return frozenset(tables | {s.before for s in self.survivors})


def effect(before: Relations, after: Relations, written: AbstractSet[int]) -> Effect:
    """Tell from the relations before and after a revert, and from those it wrote rows to, what has to be measured.

    A surviving table has to be measured only when its rows may differ: they were written to, stored anew, or read
    through another type. Dropping a column or a constraint leaves the stored rows alone.
    """
    gone = [before[oid] for oid in sorted(before.keys() - after.keys())]
    both = [(before[oid], after[oid]) for oid in sorted(before.keys() & after.keys())]
    tables = [(a, b) for a, b in both if a.kind == "r"]
    return Effect(
        removed_tables=tuple(r for r in gone if r.kind == "r"),
        removed_columns=tuple((a, c) for a, b in tables for c in _removed(a, b) if c.default != "generated"),
        removed_sequences=tuple(r for r in gone if r.kind == "S" and not _owner_gone(r, before, after)),
        survivors=tuple(_survivor(a, b) for a, b in tables if b.oid in written or _stored_anew(a, b)),
        removed_types=tuple(a for a, b in both if a.kind == "c" and (_removed(a, b) or _stored_anew(a, b))),
        written_elsewhere=tuple(a for a, _ in both if a.kind == "f" and a.oid in written),
        others=frozenset(after[oid].name for oid in after.keys() - before.keys()),
    )


def _removed(before: Relation, after: Relation) -> tuple[Column, ...]:
    return tuple(c for c in before.columns if after.column(c.number) is None)


def _common(before: Relation, after: Relation) -> tuple[tuple[Column, Column], ...]:
    pairs = ((c, after.column(c.number)) for c in before.columns)
    return tuple((a, b) for a, b in pairs if b is not None)


def _stored_anew(before: Relation, after: Relation) -> bool:
    return before.storage != after.storage or any(a.form != b.form for a, b in _common(before, after))


def _survivor(before: Relation, after: Relation) -> Survivor:
    return Survivor(before.name, after.name, tuple((a.name, b.name) for a, b in _common(before, after)))


def _owner_gone(sequence: Relation, before: Relations, after: Relations) -> bool:
    """Whether a sequence goes with its column: then the column's values are what counts."""
    if sequence.owner is None or sequence.owner[0] not in before:
        return False
    table, number = sequence.owner
    return table not in after or after[table].column(number) is None


def unlicensed(migration: Migration, proof: MigrationProof | None) -> tuple[str, ...]:
    """Why this migration may not be reverted unattended, whatever the data; nothing under an exact licence for it."""
    if migration.revert is None:
        return (f"{migration.id} has no revert.sql",)
    if proof is None:
        return (f"{migration.id} was not rehearsed, so nobody knows what its revert would lose",)
    reasons = []
    if proof.licence is not Licence.EXACT:
        reasons.append(f"the revert of {migration.id} is not exact: {'; '.join(proof.reasons) or 'no reason recorded'}")
    if proof.revert_sha256 != migration.revert.sha256:
        reasons.append(f"revert.sql of {migration.id} is not the one that was rehearsed")
    if _SETVAL.search(migration.revert.text):
        reasons.append(f"revert.sql of {migration.id} calls setval, which no abort takes back")
    return tuple(reasons)


# -- the decisions -----------------------------------------------------------------------------------------------------
def removed_table(content: RelationContent, proof: MigrationProof | None) -> str | None:
    """Rows in a table that goes: only what the migration itself left there, as the rehearsal saw it, may go with it."""
    if content.rows == 0:
        return None
    created = proof.created_content.get(content.relation) if proof else None
    if created is not None and tuple(created) == (content.rows, content.hash):
        return None
    return f"{_count(content.rows, 'row')} in {content.relation}"


def removed_column(table: Relation, column: Column, values: int) -> str | None:
    """Values in a column that goes; `values` counts those that somebody may have written."""
    return f"{_count(values, 'value')} in {table.name}.{column.name}" if values else None


def removed_sequence(sequence: Relation, position: Decimal | None) -> str | None:
    """A sequence that goes on its own: how far numbers were handed out cannot be brought back."""
    return None if position is None else f"the position of sequence {sequence.name}, which has been drawn from"


def removed_type(composite: Relation) -> str:
    """A composite type that loses an attribute: its values stand inside other tables, where they cannot be counted."""
    return f"attributes of {composite.name} inside the tables that use it, which cannot be counted"


def written_elsewhere(table: Relation) -> str:
    """A foreign table that is written to."""
    return f"rows of foreign table {table.name}, whose server cannot be checked"


def survivor(before: RelationContent, after: RelationContent) -> str | None:
    """Rows and values of a table that stays must be the same afterwards."""
    if before.rows != after.rows:
        return f"{_count(before.rows, 'row')} in {before.relation}, where {after.rows} would be left"
    return None if before.hash == after.hash else f"values in {before.relation} would not survive"


def sequences(before: Positions, after: Positions, found: Relations) -> tuple[str, ...]:
    """A sequence that stays may not go back: its numbers would be handed out twice."""
    return tuple(
        f"the position of sequence {found[oid].name}, which would go back"
        for oid in sorted(before.keys() & after.keys())
        if _went_back(before[oid], after[oid])
    )


def _went_back(before: Decimal | None, after: Decimal | None) -> bool:
    return before is not None and (after is None or after < before)


def lossless(rows: Sequence[Sequence[object]]) -> str | None:
    """The answer of lossless.sql: one row, one whole number, of rows or values a revert would lose now."""
    lost = _whole(rows[0][0]) if len(rows) == 1 and len(rows[0]) == 1 else None
    if lost is None:
        return "whatever lossless.sql looks at: it did not answer with one whole number"
    return None if lost == 0 else f"{_count(lost, 'row or value', 'rows or values')}, as lossless.sql counts them"


def beyond(happened: Change, rehearsed: Change | None) -> tuple[str, ...]:
    """The revert must undo exactly what the migration did to the catalog: nothing more, nothing less, nothing else."""
    if rehearsed is None:
        return ("what the migration changed in the catalog is not known",)
    expected = {name: (after, before) for name, (before, after) in rehearsed.objects.items()}
    names = happened.objects.keys() | expected.keys()
    differ = [name for name in names if happened.objects.get(name) != expected.get(name)]
    return (f"the revert would not undo exactly what the migration did: {_shown(differ)}",) if differ else ()


def not_undone(now: Fingerprint, rehearsed: Change | None) -> tuple[str, ...]:
    """The same where there is no transaction to compare across: each object must be now what it was before."""
    if rehearsed is None:
        return ("what the migration changed in the catalog is not known",)
    names = [name for name, (before, _) in rehearsed.objects.items() if now.objects.get(name) != before]
    return (f"the revert did not undo what the migration did: {_shown(names)}",) if names else ()


def _shown(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)[:_NAMED_OBJECTS]) + (", …" if len(names) > _NAMED_OBJECTS else "")


def _whole(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)  # sum() of bigint is numeric
    return None


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
