"""What no script of a migration may hold: checked on the parse tree before anything runs.

Rules named like TX-4 are those of the hazard catalogue (lint/); here stand the ones that can never work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wedsync_db.model import Finding, Migration, Script, Severity, Statement
from wedsync_db.postgres.excerpt import excerpt, position
from wedsync_db.postgres.parse import SyntaxProblem, transaction_control, tree, walk

_WRITES = {"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"}
# DO and CALL are how verify scripts raise; SET changes nothing that stays
_HARMLESS = {"DoStmt", "CallStmt", "VariableSetStmt", "ExplainStmt"}


@dataclass(frozen=True, slots=True)
class Hazard:
    """What a rule says about one statement; `offset` counts bytes of its text, where the caret goes."""

    rule: str
    severity: Severity
    message: str
    hint: str
    offset: int = 0


def check_scripts(migration: Migration) -> tuple[Finding, ...]:
    """Everything wrong with the four scripts of a migration; one that could not be parsed is not judged again."""
    return tuple(f for check in (_deploy, _revert, _verify, _lossless) for f in check(migration))


def at(migration: Migration, script: Script, statement: Statement, hazard: Hazard) -> Finding:
    """The finding of a hazard, with its place in the file and the line of SQL."""
    inside = len(statement.sql.encode()[: hazard.offset].decode(errors="ignore"))
    line, column = position(script.text, statement.offset + inside)
    return Finding(
        hazard.rule,
        hazard.severity,
        hazard.message,
        hint=hazard.hint,
        migration=migration.id,
        path=script.path,
        line=line,
        column=column,
        excerpt=excerpt(script.text, statement.offset + inside),
    )


# -- the four scripts --------------------------------------------------------------------------------------------------
def _deploy(migration: Migration) -> Iterator[Finding]:
    if _empty(migration.deploy):
        yield _about(migration, migration.deploy, _EMPTY)
    yield from _statements(migration, migration.deploy, transactional=migration.transactional)


def _revert(migration: Migration) -> Iterator[Finding]:
    if migration.revert is None or _empty(migration.revert):
        yield _about(migration, migration.revert or migration.deploy, _NO_REVERT)
    else:
        yield from _statements(migration, migration.revert, transactional=migration.transactional)


def _verify(migration: Migration) -> Iterator[Finding]:
    verify = migration.verify
    if verify is None or _empty(verify):
        yield _about(migration, verify or migration.deploy, _NO_VERIFY)
        return
    yield from _statements(migration, verify, transactional=True)
    for statement in verify.statements:
        if _writes(statement):
            yield at(migration, verify, statement, _VERIFY_WRITES)


def _lossless(migration: Migration) -> Iterator[Finding]:
    script = migration.lossless
    if script is None or not script.tree_hash:
        return
    if len(script.statements) != 1 or not _only_reads(script.statements[0]):
        yield _about(migration, script, _NOT_LOSSLESS)


def _statements(migration: Migration, script: Script, *, transactional: bool) -> Iterator[Finding]:
    for statement in script.statements:
        for hazard in _impossible(statement, transactional=transactional):
            yield at(migration, script, statement, hazard)


def _impossible(statement: Statement, *, transactional: bool) -> Iterator[Hazard]:
    control = transaction_control(statement)
    if control and statement.kind == "TransactionStmt":
        hint = "remove it: the program begins and ends transactions"
        yield Hazard("TX-4", Severity.ERROR, f"{control} in a migration", hint)
    elif control and transactional:
        yield Hazard("TX-5", Severity.ERROR, f"{control} cannot work in a transaction", _ALONE)
    if statement.concurrent and transactional:
        yield Hazard("IDX-4", Severity.ERROR, "this statement cannot run inside a transaction", _ALONE)


_ALONE = "put it into a migration of its own whose deploy.sql begins with -- transaction: none"
_EMPTY = Hazard("empty", Severity.ERROR, "deploy.sql holds no statement", "write it, or remove the folder")
_NO_REVERT = Hazard(
    "no-revert",
    Severity.WARNING,
    "there is no revert.sql that could run: only a person could undo this once it is committed",
    "write revert.sql; what it cannot bring back, say atop deploy.sql: -- loses: …",
)
_NO_VERIFY = Hazard(
    "no-verify",
    Severity.NOTE,
    "there is nothing in verify.sql: only an error would show that this went wrong",
    "write SELECTs that are true when it worked",
)
_VERIFY_WRITES = Hazard(
    "verify-writes",
    Severity.WARNING,
    "verify.sql writes, and what it writes is committed together with what it verifies",
    "verify with SELECT, or with a DO block that raises",
)
_NOT_LOSSLESS = Hazard(
    "lossless",
    Severity.ERROR,
    "lossless.sql is not one SELECT",
    "it returns how many rows or values a revert would lose now, 0 for none",
)


# -- questions about a statement ---------------------------------------------------------------------------------------
def _writes(statement: Statement) -> bool:
    return statement.kind not in _HARMLESS and not _only_reads(statement)


def _only_reads(statement: Statement) -> bool:
    if statement.kind != "SelectStmt":
        return False
    try:
        fields = tree(statement).fields
    except SyntaxProblem:  # too deep to be looked at: not known to be harmless
        return False
    return "intoClause" not in fields and not any(kind in _WRITES for kind, _ in walk(fields))


def _empty(script: Script) -> bool:
    return not script.statements and bool(script.tree_hash)


def _about(migration: Migration, script: Script, hazard: Hazard) -> Finding:
    return Finding(
        hazard.rule, hazard.severity, hazard.message, hint=hazard.hint, migration=migration.id, path=script.path
    )
