"""IDX: building and dropping indexes on tables that are in use."""

from __future__ import annotations

from collections.abc import Iterator

from wedsync_db.migrate.lint.subject import Subject, dropped_names, name_of, warn
from wedsync_db.migrate.scripts import Hazard
from wedsync_db.postgres.autocommit import options

_OWN = "in a migration of its own with -- transaction: none"


def create_index(subject: Subject) -> Iterator[Hazard]:
    """IDX-1: CREATE INDEX blocks writers while it reads the whole table."""
    fields = subject.fields
    only_parent = not fields["relation"].get("inh", False)  # ON ONLY: an index without rows, to attach others to
    table = name_of(fields["relation"])
    if not (fields.get("concurrent") or only_parent or table in subject.memory.new):
        hint = (
            f"{_OWN}: CREATE INDEX CONCURRENTLY name ON …, without IF NOT EXISTS; revert with DROP INDEX CONCURRENTLY"
        )
        yield warn("IDX-1", f"nobody can write to {table} while this index is built", hint)


def drop_index(subject: Subject) -> Iterator[Hazard]:
    """IDX-2: DROP INDEX waits for everybody who uses the table, and everybody new waits behind it."""
    fields = subject.fields
    if fields["removeType"] != "OBJECT_INDEX" or fields.get("concurrent"):
        return
    old = [n for n in dropped_names(fields) if n not in subject.memory.new]
    if old:
        message = f"dropping {', '.join(old)} shuts everybody out of the table, and waits for whoever reads it"
        yield warn("IDX-2", message, f"{_OWN}: DROP INDEX CONCURRENTLY, one index a statement")


def reindex(subject: Subject) -> Iterator[Hazard]:
    """IDX-3: REINDEX blocks writers, and readers that would use the index."""
    fields = subject.fields
    new = "relation" in fields and name_of(fields["relation"]) in subject.memory.new
    if not (new or options(fields.get("params")).get("concurrently")):
        hint = f"{_OWN}: REINDEX … CONCURRENTLY; a failed one leaves an invalid index named _ccnew, to be dropped"
        yield warn("IDX-3", "nobody can write to the table while its indexes are rebuilt", hint)


def concurrently_if_not_exists(subject: Subject) -> Iterator[Hazard]:
    """IDX-5: IF NOT EXISTS takes the invalid index a failed build left for the one that is wanted."""
    if subject.fields.get("concurrent") and subject.fields.get("if_not_exists"):
        message = "after a failed build, IF NOT EXISTS finds the invalid index and reports success"
        yield warn("IDX-5", message, "leave IF NOT EXISTS out; drop an index only where pg_index says it is invalid")


RULES = {
    "IndexStmt": (create_index, concurrently_if_not_exists),
    "DropStmt": (drop_index,),
    "ReindexStmt": (reindex,),
}
