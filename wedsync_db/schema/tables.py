"""One table of the documentation: its columns, what holds for its rows, and who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wedsync_db.schema.access import access
from wedsync_db.schema.catalog import Column, Constraint, Index, Table, Trigger
from wedsync_db.schema.markup import code, link, sentence, short, short_type
from wedsync_db.schema.words import condition, plain


def describe(table: Table) -> Iterator[str]:
    """The lines of a table's part, from its heading on."""
    yield f"### {short(table.name)}"
    yield ""
    yield sentence(table.comment or "no comment")
    if table.partitioned_by:
        yield f"Partitioned by {table.partitioned_by.lower()}; the partitions are reached through it alone."
    yield from ("", "| column | type | |", "|---|---|---|")
    key = next((c.columns for c in table.constraints if c.kind == "p"), ())
    for column in table.columns:
        name = f"**{column.name}**" if column.name in key else column.name
        yield f"| {name} | {_type(column, table)} | {_told(table, column)} |"
    yield from _line("Rules", _rules(table))
    yield from _line("Indexes", (_index(i) for i in table.indexes if not i.unique))
    yield from _line("Triggers", _triggers(table))
    yield from access(table)


def pointer(table: Table, reference: Constraint) -> str:
    """The column of a reference that says which row; the others say that it is one of the same tenant."""
    alone = {c.columns[0] for c in table.constraints if c.kind == "f" and len(c.columns) == 1}
    parents = dict(zip(reference.columns, reference.parent_columns, strict=True))
    others = [c for c in reference.columns if c not in alone] or list(reference.columns)
    return next((c for c in others if parents[c] == "id"), others[0])


def _type(column: Column, table: Table) -> str:
    name = short_type(column.type)
    return name if column.required or table.is_view else f"{name}, optional"


def _told(table: Table, column: Column) -> str:
    """What there is to say of a column besides its type."""
    of = [c for c in table.constraints if column.name in c.columns]
    references = (_reference(c, column.name) for c in of if c.kind == "f" and pointer(table, c) == column.name)
    checks = (condition(c.text) for c in of if c.kind == "c" and len(c.columns) == 1)
    return "; ".join(filter(None, (column.comment, *references, *checks, _default(column))))


def _reference(reference: Constraint, column: str) -> str:
    others = [code(c) for c in reference.columns if c != column]
    same = f" of the same {' and '.join(others)}" if others else ""
    return f"→ {link(reference.parent)}{same}{_DELETED.get(reference.text.partition(' ON DELETE ')[2][:8], '')}"


_DELETED = {"SET NULL": ", null once that is gone", "CASCADE": ", gone with it"}


def _default(column: Column) -> str:
    if not column.default:
        return ""
    return f"{'always' if column.generated else 'default'} {code(plain(column.default))}"


def _rules(table: Table) -> Iterator[str]:
    """What holds beyond single columns."""
    for constraint in table.constraints:
        if constraint.kind == "u":
            yield f"unique ({', '.join(constraint.columns)})"
    for index in table.indexes:
        if index.unique:
            yield f"unique {_index(index)}"
    for constraint in table.constraints:
        if constraint.kind == "x" or (constraint.kind == "c" and len(constraint.columns) != 1):
            yield condition(constraint.text)


def _index(index: Index) -> str:
    columns, _, where = index.text.partition(" WHERE ")
    return f"{columns} where {condition(where)}" if where else columns


def _triggers(table: Table) -> Iterator[str]:
    """Each function once: one with transition tables needs a trigger for every event."""
    events: dict[Trigger, list[str]] = {}
    for trigger in table.triggers:
        events.setdefault(replace(trigger, events=()), []).extend(trigger.events)
    for trigger, found in events.items():
        columns = f" of {', '.join(trigger.columns)}" if trigger.columns else ""
        when = [e for e in ("insert", "update", "delete", "truncate") if e in found]
        yield f"{trigger.timing} {' or '.join(when)}{columns} {code(trigger.function)}"


def _line(what: str, told: Iterator[str]) -> Iterator[str]:
    if lines := list(told):
        yield from ("", f"{what}: {'; '.join(lines)}.")
