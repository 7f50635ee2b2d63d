"""Hazards of migrations, found on the parse tree: what is unsafe, why, and the safe rewrite.

A rule is a function over one statement; the modules beside this one hold a family each. A rule warns, since only the
rehearsal knows whether a table is large or busy; an error is what can never work. What a plan creates itself may be
changed freely: nobody uses it yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from wedsync_db.migrate.lint import columns, constraints, indexes, security, sessions, tables
from wedsync_db.migrate.lint.memory import forget, remember
from wedsync_db.migrate.lint.subject import Memory, Subject, note
from wedsync_db.migrate.scripts import Hazard, at, check_scripts
from wedsync_db.model import Finding, Migration, Statement
from wedsync_db.postgres.parse import SyntaxProblem, Tree, tree

Rule = Callable[[Subject], Iterator[Hazard]]

_FAMILIES: tuple[Mapping[str, tuple[Rule, ...]], ...] = (
    indexes.RULES,
    constraints.RULES,
    columns.RULES,
    tables.RULES,
    sessions.RULES,
    security.RULES,
)


def lint(migration: Migration, *, target_major: int | None = None) -> tuple[Finding, ...]:
    """What is hazardous or can never work in one migration, taken alone."""
    return lint_pending((migration,), target_major=target_major)


def lint_pending(migrations: Iterable[Migration], *, target_major: int | None = None) -> tuple[Finding, ...]:
    """The same in the order they will run: what an earlier one creates, a later one may change freely.

    `target_major` makes the rewrites those of that PostgreSQL; None gives those of all.
    """
    chosen = tuple(migrations)
    memory = Memory()
    found: list[Finding] = []
    seen: list[tuple[Migration, Statement, Tree]] = []
    for migration in chosen:
        found += check_scripts(migration)
        for statement in migration.deploy.statements:
            node = _tree(statement)
            subject = Subject(statement, node.fields, migration.transactional, target_major, memory)
            found += [at(migration, migration.deploy, statement, h) for h in _hazards(node.kind, subject)]
            memory = remember(memory, node)
            seen.append((migration, statement, node))
        memory = forget(memory, transactional=migration.transactional)
    return (*found, *_unprotected(seen))


def _hazards(kind: str, subject: Subject) -> Iterator[Hazard]:
    if kind == _UNSEEN:
        yield note("EXE-1", "nested too deeply to be looked at", "the rehearsal shows what it locks and rewrites")
        return
    rules = (rule for family in _FAMILIES for rule in family.get(kind, ()))
    for rule in (*rules, *sessions.EVERY):
        yield from rule(subject)


_UNSEEN = "unseen"


def _tree(statement: Statement) -> Tree:
    try:
        return tree(statement)
    except SyntaxProblem:
        return Tree(_UNSEEN, {})


def _unprotected(seen: list[tuple[Migration, Statement, Tree]]) -> Iterator[Finding]:
    is_protected = security.protected(node for _, _, node in seen)
    for migration, statement, node in seen:
        if node.kind == "CreateStmt":
            for hazard in security.unprotected(node.fields, is_protected):
                yield at(migration, migration.deploy, statement, hazard)
