"""COL: columns of tables that hold rows and are read by the release that runs now."""

from __future__ import annotations

from collections.abc import Iterator

from wedsync_db.migrate.lint.subject import Fields, Subject, alterations, constraints, name_of, note, strings, warn
from wedsync_db.migrate.scripts import Hazard
from wedsync_db.postgres.parse import walk

# not volatile, and often seen in defaults; of any other function the parse tree does not say
_STABLE = {"now", "transaction_timestamp", "statement_timestamp", "current_setting", "lower", "upper", "make_interval"}
_SERIAL = {"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"}
_WIDENING = {"text", "varchar", "numeric", "timestamp", "timestamptz", "inet"}
_FILLING = ("CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED")
_REWRITES = "the whole table is rewritten while nobody can use it"


def volatile_default(subject: Subject) -> Iterator[Hazard]:
    """COL-1: a volatile default is worked out for every row at once; a constant one costs nothing."""
    for added in alterations(subject, "AT_AddColumn"):
        default = constraints(added.definition).get("CONSTR_DEFAULT", {}).get("raw_expr", {})
        calls = [strings(f["funcname"])[-1] for kind, f in walk(default) if kind == "FuncCall"]
        unsure = [c for c in calls if c not in _STABLE]
        if unsure:
            message = f"unless {unsure[0]}() is IMMUTABLE or STABLE, {_REWRITES}"
            hint = "ADD COLUMN without it; ALTER COLUMN … SET DEFAULT; fill old rows in batches"
            yield warn("COL-1", message, hint, added.offset)


def required_without_default(subject: Subject) -> Iterator[Hazard]:
    """COL-2: NOT NULL without a default fails as soon as there is a row."""
    for added in alterations(subject, "AT_AddColumn"):
        inline = constraints(added.definition)
        empty = not any(k in inline for k in _FILLING) and _type(added.definition) not in _SERIAL
        if empty and ("CONSTR_NOTNULL" in inline or "CONSTR_PRIMARY" in inline):
            message = f"this fails as soon as {added.table} has a row: a new NOT NULL column without a default"
            hint = "give it a constant default, or add it nullable, fill it, and then require it (CON-6)"
            yield warn("COL-2", message, hint, added.offset)


def numbered_or_stored(subject: Subject) -> Iterator[Hazard]:
    """COL-3: serial, identity and stored generated columns are filled for every row at once."""
    for added in alterations(subject, "AT_AddColumn"):
        inline = constraints(added.definition)
        stored = inline.get("CONSTR_GENERATED", {}).get("generated_kind") == "s"
        if stored or "CONSTR_IDENTITY" in inline or _type(added.definition) in _SERIAL:
            hint = (
                "add it nullable with a trigger, fill it in batches; from 18, a VIRTUAL generated column costs nothing"
            )
            yield warn("COL-3", _REWRITES, hint, added.offset)


def change_type(subject: Subject) -> Iterator[Hazard]:
    """COL-4: most changes of type rewrite the table; those that only widen do not, and the rehearsal tells."""
    for changed in alterations(subject, "AT_AlterColumnType"):
        widens = _type(changed.definition) in _WIDENING and "raw_default" not in changed.definition
        say = note if widens else warn
        hint = "a new column, written by both releases, filled in batches, then swapped"
        if widens:
            hint = f"safe from a narrower type of the same kind, which the rehearsal shows; otherwise {hint}"
        yield say("COL-4", f"unless the type only widens, {_REWRITES}", hint, changed.offset)


def drop_column(subject: Subject) -> Iterator[Hazard]:
    """COL-5: the release that still runs reads the column, and its values are gone."""
    for dropped in alterations(subject, "AT_DropColumn"):
        message = f"the running release may still read {dropped.table}.{dropped.name}, and its values are lost"
        hint = "first a release that ignores it; then drop it, with -- loses: in the header"
        if dropped.cascade:
            hint += "; CASCADE also drops every view and constraint on it: name those instead"
        yield warn("COL-5", message, hint)


def rename(subject: Subject) -> Iterator[Hazard]:
    """COL-6: the running release knows the old name only."""
    fields = subject.fields
    old = _renamed(fields)
    if old and not ("relation" in fields and name_of(fields["relation"]) in subject.memory.new):
        hint = "add the new one and keep both in step until no release uses the old, or leave a view with the old name"
        yield warn("COL-6", f"the running release knows {old} by its old name only", hint)


def rename_value(subject: Subject) -> Iterator[Hazard]:
    """COL-6 of an enum's value."""
    if "oldVal" in subject.fields:
        hint = "add the new value, move the rows, and stop using the old one"
        yield warn("COL-6", f"the running release knows the value {subject.fields['oldVal']!r} only", hint)


def _renamed(fields: Fields) -> str | None:
    if fields["renameType"] == "OBJECT_COLUMN":
        return f"{name_of(fields['relation'])}.{fields['subname']}"
    if fields["renameType"] in {"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW"}:
        return name_of(fields["relation"])
    return f"schema {fields['subname']}" if fields["renameType"] == "OBJECT_SCHEMA" else None


def _type(column: Fields) -> str:
    return strings(column["typeName"].get("names", ()))[-1]


RULES = {
    "AlterTableStmt": (volatile_default, required_without_default, numbered_or_stored, change_type, drop_column),
    "RenameStmt": (rename,),
    "AlterEnumStmt": (rename_value,),
}
