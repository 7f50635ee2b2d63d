"""What a deployment would do, and every reason why it may not: decided from the files and the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from wedsync_db.errors import PlanError
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.header import ID
from wedsync_db.migrate.lint import lint_pending
from wedsync_db.migrate.order import late, ordered
from wedsync_db.migrate.unchanged import unchanged
from wedsync_db.model import Finding, LedgerEntry, Migration, Plan, Severity
from wedsync_db.report.findings import findings_text


def plan_of(folder: Path, applied: Sequence[LedgerEntry], *, target_major: int | None = None) -> Plan:
    """The plan of a folder against a ledger; see `make_plan`. With nothing to do it is ready without parsing anything.

    Raises:
        PlanError: there is no such folder, or it cannot be listed.
    """
    if unchanged(folder, applied):
        return Plan(pending=(), applied=tuple(applied))
    return make_plan(*read_migrations(folder), applied, target_major=target_major)


def make_plan(
    migrations: Sequence[Migration],
    findings: Sequence[Finding],
    applied: Sequence[LedgerEntry],
    *,
    target_major: int | None = None,
) -> Plan:
    """The pending migrations in the order they will run, with everything found about them and about what is applied.

    `findings` are what reading the files said. A fault in a file of an applied migration is only warned of, since this
    plan does not run it; that an applied deploy.sql is edited or gone is an error all the same.
    """
    entries = {entry.id: entry for entry in applied}
    unread = {f.migration for f in findings if f.migration}  # said already; not to be called unknown as well
    pending, disorder = ordered((m for m in migrations if m.id not in entries), {*entries, *unread})
    said = (
        *(_weighed(f, entries) for f in findings),
        *disorder,
        *late(pending, (int(name[:4]) for name in entries if ID.fullmatch(name))),
        *_history(migrations, applied),
        *lint_pending(pending, target_major=target_major),
    )
    return Plan(pending=pending, applied=tuple(applied), findings=said)


def require_sound(plan: Plan) -> None:
    """Return if nothing found is an error.

    Raises:
        PlanError: with the errors as `findings`, and all of them with file, line, column and caret in the hint.
    """
    errors = tuple(sorted((f for f in plan.findings if f.severity is Severity.ERROR), key=_place))
    if errors:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        raise PlanError(f"the plan has {count}; nothing was touched", hint=findings_text(errors), findings=errors)


def _place(finding: Finding) -> tuple[str, int]:
    return str(finding.path or ""), finding.line or 0


def _weighed(finding: Finding, applied: dict[str, LedgerEntry]) -> Finding:
    if finding.migration in applied and finding.severity is Severity.ERROR and finding.rule != "duplicate":
        return replace(finding, severity=Severity.WARNING)
    return finding


def _history(migrations: Sequence[Migration], applied: Sequence[LedgerEntry]) -> Iterator[Finding]:
    on_disk = {m.id: m for m in migrations}
    for entry in applied:
        migration = on_disk.get(entry.id)
        if migration is None:
            yield _missing(entry)
        elif migration.deploy.sha256 != entry.sha256:
            yield _edited(migration, entry)


def _missing(entry: LedgerEntry) -> Finding:
    message = f"{entry.id} is applied, but its deploy.sql is not on disk or cannot be read"
    hint = "bring it back from version control; this checkout may be older than what was deployed"
    return Finding("missing", Severity.ERROR, message, hint=hint, migration=entry.id)


def _edited(migration: Migration, entry: LedgerEntry) -> Finding:
    same = migration.deploy.tree_hash == entry.tree_hash != ""
    if same:
        message = f"{migration.id} was edited after it was applied, in comments or layout only"
        hint = "nothing to do; the SQL means the same"
    else:
        message = f"{migration.id} was edited after it was applied on {entry.applied_at:%Y-%m-%d} by {entry.applied_by}"
        hint = "bring the applied text back and write the change as a new migration"
    severity = Severity.WARNING if same else Severity.ERROR
    path = migration.deploy.path
    return Finding("edited", severity, message, hint=hint, migration=migration.id, path=path)
