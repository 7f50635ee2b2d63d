"""A deployment made up by hand, for what the reports say of it: two harmless migrations and one that is not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from wedsync_db.model import (
    Applied,
    Backup,
    Change,
    Deployment,
    DeploymentStatus,
    Finding,
    HeldLock,
    LedgerEntry,
    Licence,
    LockSeen,
    Manifest,
    Migration,
    MigrationProof,
    Outcome,
    Plan,
    Proof,
    Rehearsal,
    RelationContent,
    RolledBack,
    Script,
    ServerFacts,
    Severity,
    Statement,
    TracedStatement,
)

AT = datetime(2026, 6, 7, 14, 30, tzinfo=UTC)
SQL = {
    "0006_guest_notes": "create table app.guest_notes (id bigint primary key, guest_id bigint not null, note text)",
    "0007_names": "alter table app.guests alter column name type text",
    "0008_apart": "create index concurrently guests_name on app.guests (name)",
}
STATEMENTS = {name: Statement(sql, "Stmt", 3, 20, concurrent=name == "0008_apart") for name, sql in SQL.items()}


def script(name: str, kind: str, statements: tuple[Statement, ...] = ()) -> Script:
    text = "".join(f"{s.sql};\n" for s in statements)
    return Script(Path("migrations") / name / f"{kind}.sql", text, f"{name[:4]}{'0' * 60}", "t" * 64, statements)


def migration(name: str, *, revert: bool = True, transactional: bool = True) -> Migration:
    statements = (STATEMENTS[name],)
    requires = ("0005_access",) if name == "0006_guest_notes" else ()
    back = script(name, "revert") if revert else None
    return Migration(
        name, int(name[:4]), requires, transactional, None, script(name, "deploy", statements), back, None, None
    )


def entry(number: int) -> LedgerEntry:
    return LedgerEntry(f"{number:04}_applied", number, "a" * 64, "t" * 64, "20260601T000000Z-1", AT, "wedsync_deployer")


FINDINGS = (
    Finding(
        "COL-4",
        Severity.WARNING,
        "changing a type | rewrites app.guests <all of it>",
        hint="add a column,\nfill it in batches",
        migration="0007_names",
        path=Path("migrations/0007_names/deploy.sql"),
        line=3,
        column=19,
        excerpt="alter table app.guests alter column name type text\n                  ^",
    ),
    Finding("no-revert", Severity.NOTE, "there is no revert.sql", migration="0008_apart"),
)
ERROR = Finding(
    "syntax",
    Severity.ERROR,
    'syntax error at or near "oops"',
    hint="correct it",
    migration="0007_names",
    path=Path("migrations/0007_names/deploy.sql"),
    line=3,
    column=8,
    excerpt="  oops oops\n       ^",
)


def plan(*findings: Finding) -> Plan:
    pending = (
        migration("0006_guest_notes"),
        migration("0007_names"),
        migration("0008_apart", revert=False, transactional=False),
    )
    return Plan(pending, tuple(entry(n) for n in range(1, 6)), findings or FINDINGS)


def proofs() -> tuple[MigrationProof, ...]:
    weaker = ("column app.guests.name is not as before (type)", "values in app.guests are not as before")
    held = (HeldLock("app.guests", "AccessExclusiveLock", 2.34), HeldLock("app.weddings", "RowShareLock", 0.0021))
    apart = (HeldLock("app.guests", "ShareUpdateExclusiveLock", 64.0),)
    return (
        MigrationProof("0006_guest_notes", Licence.EXACT, (), 0.0124, 0.0051, 8192, (), {"app.guest_notes": (0, "0")}),
        MigrationProof("0007_names", Licence.WEAKER, weaker, 2.34, 1.9, 3_500_000_000, held, {}),
        MigrationProof("0008_apart", Licence.NONE, ("there is no revert.sql",), 64.0, None, 52_000_000, apart, {}),
    )


def statements() -> tuple[TracedStatement, ...]:
    locks = (LockSeen("app.guests", "AccessExclusiveLock", preexisting=True),)
    first, second, third = SQL
    return (
        TracedStatement(first, 0, 3, "CreateStmt", SQL[first], 0.0124, -1, 8192),
        TracedStatement(
            second, 0, 3, "AlterTableStmt", SQL[second], 2.34, 120_000, 3_500_000_000, locks, ("app.guests",),
            (("app.guests", 120_000),),
        ),
        TracedStatement(third, 0, 3, "IndexStmt", SQL[third], 64.0, -1, 52_000_000, (), (), (("app.guests", 1),)),
    )  # fmt: skip


def rehearsal(**more: object) -> Rehearsal:
    expected = Change(
        {
            "column:app.guests.name": ('{"type": "varchar"}', '{"type": "text"}'),
            "index:app.guests_name": (None, "{}"),
            "table:app.old": ("{}", None),
        }
    )
    values = {
        "plan_hash": plan().hash, "backup_id": "20260607T143000Z-4f2a", "server_version": 180004,
        "fingerprint_before": "f" * 64, "expected": expected, "proofs": proofs(), "statements": statements(),
        "seconds": 95.5, "notes": ("0008_apart: runs outside a transaction",),
    }  # fmt: skip
    return Rehearsal(**{**values, **more})


def backup() -> Backup:
    server = ServerFacts(180004, "7300000000000000001", "wedsync", 16384, 1, "wedsync_deployer", False, False)
    relations = (
        RelationContent("app.guests", 120_000, "1", "sum-hashtextextended-v1"),
        RelationContent("app.weddings", 1_500, "2", "sum-hashtextextended-v1"),
    )
    manifest = Manifest(
        "20260607T143000Z-4f2a", "staging", AT, server, "00000003-1", "18.4",
        {"data/toc.dat": (4096, "0" * 64), "data/1.dat.gz": (7_000_000, "1" * 64)}, relations,
        {"app.guests_id_seq": 120_000}, "f" * 64, 48_000_000, 3.2,
    )  # fmt: skip
    return Backup(Path("backups/20260607T143000Z-4f2a"), manifest)


def deployment(**more: object) -> Deployment:
    values = {
        "id": "20260607T143100Z-9c01", "epoch": 1, "status": DeploymentStatus.RUNNING, "plan_hash": plan().hash,
        "atomic": "deployment", "fingerprint_before": "f" * 64, "backup_id": backup().id, "runner": "ci@host pid 4711",
        "started_at": AT,
    }  # fmt: skip
    return Deployment(**{**values, **more})


def _outcome(**end: object) -> Outcome:
    return Outcome("staging", deployment(), Proof(plan(), backup(), rehearsal()), **end)


def deployed() -> Outcome:
    return _outcome(applied=Applied(deployment().id, tuple(SQL), 66.2, lock_attempts=3))


def rolled_back(*, equal: bool = True) -> Outcome:
    said = "the catalog is exactly as before" if equal else "the catalog is not as before: somebody else changed it"
    undone = RolledBack(deployment().id, "reverted", ("0006_guest_notes",), equal, f"reverted 0006_guest_notes; {said}")
    return _outcome(
        rolled_back=undone,
        problem="0007_names/deploy.sql:3:1: duplicate key value (SQLSTATE 23505, constraint guests_pkey)",
    )


def person_needed() -> Outcome:
    return _outcome(
        problem="0008_apart/deploy.sql:3:1: canceling statement due to statement timeout (SQLSTATE 57014)",
        at_risk=("0007_names: no exact revert is proven", "12 rows of app.guest_notes written since"),
    )
