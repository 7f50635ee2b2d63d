"""TAB: dropping, emptying and rewriting whole tables. DML: changing every row of one."""

from __future__ import annotations

from collections.abc import Iterator

from wedsync_db.migrate.lint.subject import Subject, alterations, dropped_names, name_of, warn
from wedsync_db.migrate.scripts import Hazard
from wedsync_db.postgres.autocommit import options


def drop_table(subject: Subject) -> Iterator[Hazard]:
    """TAB-1: what is dropped is gone, and the running release may still use it."""
    if subject.fields["removeType"] != "OBJECT_TABLE":
        return
    old = [n for n in dropped_names(subject.fields) if n not in subject.memory.new]
    if old:
        hint = "rename it away first and drop it a release later, with -- loses: in the header"
        if subject.fields.get("behavior") == "DROP_CASCADE":
            hint += "; CASCADE also drops what nobody named: drop those by name"
        yield warn("TAB-1", f"the rows of {', '.join(old)} are lost, and the running release may still use them", hint)


def truncate(subject: Subject) -> Iterator[Hazard]:
    """TAB-2: TRUNCATE loses every row and shuts readers out; CASCADE follows foreign keys."""
    relations = [name_of(r["RangeVar"]) for r in subject.fields["relations"]]
    old = [n for n in relations if n not in subject.memory.new]
    if old:
        cascade = subject.fields.get("behavior") == "DROP_CASCADE"
        more = " and of every table that refers to it" if cascade else ""
        hint = "DELETE in batches by key, or a window, with -- loses: in the header"
        yield warn("TAB-2", f"the rows of {', '.join(old)}{more} are lost", hint)


def vacuum_full(subject: Subject) -> Iterator[Hazard]:
    """TAB-3: VACUUM FULL writes the table anew while nobody can use it."""
    if options(subject.fields.get("options")).get("full"):
        yield _rewrite("VACUUM FULL")


def cluster(subject: Subject) -> Iterator[Hazard]:
    """TAB-3: so does CLUSTER."""
    relation = subject.fields.get("relation")
    if relation is None or name_of(relation) not in subject.memory.new:
        yield _rewrite("CLUSTER")


def _rewrite(word: str) -> Hazard:
    hint = "pg_repack does the same online; plain VACUUM is the nightly maintenance's work"
    return warn("TAB-3", f"{word} writes the whole table anew while nobody can use it", hint)


def detach_partition(subject: Subject) -> Iterator[Hazard]:
    """TAB-4: DETACH PARTITION shuts everybody out of the whole partitioned table."""
    for detached in alterations(subject, "AT_DetachPartition"):
        if not detached.definition.get("concurrent"):
            hint = "in a migration of its own with -- transaction: none: DETACH PARTITION … CONCURRENTLY"
            yield warn("TAB-4", f"nobody can use {detached.table} while this waits and runs", hint)


def drop_schema(subject: Subject) -> Iterator[Hazard]:
    """TAB-5: a schema takes all it holds with it."""
    if subject.fields["removeType"] == "OBJECT_SCHEMA" and subject.fields.get("behavior") == "DROP_CASCADE":
        message = f"everything in schema {dropped_names(subject.fields)[0]} is lost, whatever it is by then"
        yield warn("TAB-5", message, "drop its objects by name, then the schema without CASCADE")


def drop_database(subject: Subject) -> Iterator[Hazard]:
    """TAB-5: no migration drops a database."""
    yield warn("TAB-5", f"database {subject.fields['dbname']} is lost", "never in a migration: by hand, after a backup")


def every_row(subject: Subject) -> Iterator[Hazard]:
    """DML-1: UPDATE or DELETE of every row locks them all until the end of the transaction and doubles the table."""
    fields = subject.fields
    where = fields.get("whereClause")
    always = where is None or where.get("A_Const", {}).get("boolval", {}).get("boolval") is True
    table = name_of(fields["relation"])
    if always and table not in subject.memory.new:
        word = "updates" if subject.statement.kind == "UpdateStmt" else "deletes"
        hint = "batches by key, each committed (-- transaction: none); or a WHERE that says which rows are meant"
        yield warn("DML-1", f"this {word} every row of {table} at once and keeps them locked until the end", hint)


RULES = {
    "DropStmt": (drop_table, drop_schema),
    "TruncateStmt": (truncate,),
    "VacuumStmt": (vacuum_full,),
    "ClusterStmt": (cluster,),
    "AlterTableStmt": (detach_partition,),
    "DropdbStmt": (drop_database,),
    "UpdateStmt": (every_row,),
    "DeleteStmt": (every_row,),
}
