"""CON: constraints on tables that hold rows, which PostgreSQL checks under a lock."""

from __future__ import annotations

from collections.abc import Iterator

from wedsync_db.migrate.lint.subject import Alteration, Subject, alterations, constraints, warn
from wedsync_db.migrate.scripts import Hazard

_LATER = "ADD CONSTRAINT … NOT VALID here, and VALIDATE CONSTRAINT in a later migration: that one lets writers through"
_WORDS = {"CONSTR_CHECK": "CHECK", "CONSTR_FOREIGN": "FOREIGN KEY"}


def _added(subject: Subject, *kinds: str) -> Iterator[Alteration]:
    return (a for a in alterations(subject, "AT_AddConstraint") if a.definition["contype"] in kinds)


def add_valid(subject: Subject) -> Iterator[Hazard]:
    """CON-1: a CHECK or foreign key added valid reads the whole table under its lock."""
    for added in _added(subject, *_WORDS):
        unchecked = added.definition.get("skip_validation") or not added.definition.get("is_enforced", True)
        if not unchecked:
            word = _WORDS[added.definition["contype"]]
            message = f"every row of {added.table} is checked for this {word} while it is locked"
            yield warn("CON-1", message, _LATER, added.offset)


def validate_at_once(subject: Subject) -> Iterator[Hazard]:
    """CON-2: NOT VALID and VALIDATE in one transaction keep the first one's lock during the second one's scan."""
    for validated in alterations(subject, "AT_ValidateConstraint"):
        if subject.transactional and (validated.table, validated.name) in subject.memory.unvalidated:
            message = f"{validated.name} is validated under the lock that adding it took"
            yield warn("CON-2", message, "put VALIDATE CONSTRAINT into the next migration")


def add_unique(subject: Subject) -> Iterator[Hazard]:
    """CON-3: UNIQUE builds its index under a lock nobody can read past."""
    for added in _added(subject, "CONSTR_UNIQUE"):
        if "indexname" not in added.definition:
            yield _index_under_lock("CON-3", "UNIQUE", added)


def add_primary_key(subject: Subject) -> Iterator[Hazard]:
    """CON-4: so does PRIMARY KEY."""
    for added in _added(subject, "CONSTR_PRIMARY"):
        if "indexname" not in added.definition:
            yield _index_under_lock("CON-4", "PRIMARY KEY", added)


def _index_under_lock(rule: str, word: str, added: Alteration) -> Hazard:
    message = f"nobody can read or write {added.table} while the index of this {word} is built"
    hint = f"first CREATE UNIQUE INDEX CONCURRENTLY (-- transaction: none), then ADD CONSTRAINT … {word} USING INDEX"
    return warn(rule, message, hint, added.offset)


def add_exclusion(subject: Subject) -> Iterator[Hazard]:
    """CON-5: EXCLUDE has no concurrent form."""
    for added in _added(subject, "CONSTR_EXCLUSION"):
        message = f"nobody can read or write {added.table} while the index of this EXCLUDE is built"
        yield warn("CON-5", message, "there is no way online: a new table and a swap, or a window", added.offset)


def set_not_null(subject: Subject) -> Iterator[Hazard]:
    """CON-6: NOT NULL reads the whole table under its lock, unless a validated CHECK proves it already."""
    hardened = alterations(subject, "AT_SetNotNull", "AT_AddConstraint")
    for change in hardened:
        sets = change.subtype == "AT_SetNotNull" and change.table not in subject.memory.validated
        adds = change.definition.get("contype") == "CONSTR_NOTNULL" and not change.definition.get("skip_validation")
        if sets or adds:
            message = f"every row of {change.table} is read for NOT NULL while nobody else can use it"
            yield warn("CON-6", message, _not_null(subject.major), change.offset)


def _not_null(major: int | None) -> str:
    old = (
        "ADD CONSTRAINT c CHECK (x IS NOT NULL) NOT VALID; next migration: VALIDATE CONSTRAINT c, SET NOT NULL, DROP c"
    )
    new = "ADD CONSTRAINT c NOT NULL x NOT VALID; next migration: VALIDATE CONSTRAINT c"
    if major is None:
        return f"15 to 17: {old}\nfrom 18: {new}"
    return new if major >= 18 else old  # noqa: PLR2004 - the major that brought NOT NULL … NOT VALID


def add_column_checked(subject: Subject) -> Iterator[Hazard]:
    """CON-7: a constraint written inside ADD COLUMN is always checked at once."""
    for added in alterations(subject, "AT_AddColumn"):
        inline = constraints(added.definition)
        word = next((_WORDS[k] for k in _WORDS if k in inline), None)
        if word:
            message = f"every row of {added.table} is checked for this {word} while nobody else can use it"
            yield warn("CON-7", message, f"add the column alone; then {_LATER}", added.offset)


def add_column_indexed(subject: Subject) -> Iterator[Hazard]:
    """CON-3 and CON-4 within ADD COLUMN."""
    for added in alterations(subject, "AT_AddColumn"):
        inline = constraints(added.definition)
        for kind, rule, word in (("CONSTR_UNIQUE", "CON-3", "UNIQUE"), ("CONSTR_PRIMARY", "CON-4", "PRIMARY KEY")):
            if kind in inline:
                yield _index_under_lock(rule, word, added)


RULES = {
    "AlterTableStmt": (
        add_valid,
        validate_at_once,
        add_unique,
        add_primary_key,
        add_exclusion,
        set_not_null,
        add_column_checked,
        add_column_indexed,
    ),
}
