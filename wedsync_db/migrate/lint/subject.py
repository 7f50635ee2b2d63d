"""A statement as the rules see it: its parse tree, and what the statements before it made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wedsync_db.migrate.scripts import Hazard
from wedsync_db.model import Severity, Statement
from wedsync_db.postgres.autocommit import commands

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier statements of the plan did. What is new is used by nobody yet, so that nothing done to it hurts."""

    new: frozenset[str] = frozenset()  # tables, materialized views and indexes
    validated: frozenset[str] = frozenset()  # tables of which a constraint was validated
    unvalidated: frozenset[tuple[str, str]] = frozenset()  # table and constraint, added NOT VALID in this migration
    values: frozenset[str] = frozenset()  # added to enums and not known to be committed


@dataclass(frozen=True, slots=True)
class Subject:
    """One statement under judgement. `major` is the target's, None where it is not known."""

    statement: Statement
    fields: Fields
    transactional: bool
    major: int | None = None
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Alteration:
    """One command of an ALTER TABLE: its subtype, the name it gives, its definition, and where the caret goes."""

    table: str
    subtype: str
    name: str
    definition: Fields
    offset: int
    cascade: bool


def warn(rule: str, message: str, hint: str, offset: int = 0) -> Hazard:
    """A hazard that is shown and stops nothing."""
    return Hazard(rule, Severity.WARNING, message, hint, offset)


def note(rule: str, message: str, hint: str, offset: int = 0) -> Hazard:
    """A hazard that depends on what only the rehearsal sees."""
    return Hazard(rule, Severity.NOTE, message, hint, offset)


def name_of(relation: Fields) -> str:
    """`schema.name` of a RangeVar; without a schema it is taken to be in public."""
    return f"{relation.get('schemaname', 'public')}.{relation['relname']}"


def dropped_names(fields: Fields) -> list[str]:
    """The names a DROP gives, of relations with their schema."""
    return [_joined(strings(o["List"]["items"])) if "List" in o else o["String"]["sval"] for o in fields["objects"]]


def strings(items: Sequence[Fields]) -> list[str]:
    """The values of a list of String nodes."""
    return [item["String"].get("sval", "") for item in items if "String" in item]


def alterations(subject: Subject, *subtypes: str) -> Iterator[Alteration]:
    """The commands of these subtypes in an ALTER TABLE of a table that was there before."""
    fields = subject.fields
    if fields.get("objtype") != "OBJECT_TABLE" or name_of(fields["relation"]) in subject.memory.new:
        return
    for command in commands(fields):
        if command["subtype"] in subtypes:
            yield _alteration(name_of(fields["relation"]), command)


def _alteration(table: str, command: Fields) -> Alteration:
    definition: Fields = next(iter(command.get("def", {}).values()), {})
    return Alteration(
        table,
        command["subtype"],
        command.get("name", ""),
        definition,
        definition.get("location", 0),
        command.get("behavior") == "DROP_CASCADE",
    )


def constraints(column: Fields) -> dict[str, Fields]:
    """The inline constraints of a ColumnDef by contype."""
    return {c["Constraint"]["contype"]: c["Constraint"] for c in column.get("constraints", ())}


def _joined(parts: list[str]) -> str:
    return ".".join(parts if len(parts) > 1 else ["public", *parts])
