"""What failed, where, in one line: PostgreSQL's error as an operator may read it.

PostgreSQL's DETAIL and CONTEXT carry row values and are never used. Its primary message quotes the offending value in
the class of data exceptions (22), so what is quoted there is left out. An author's own RAISE is passed on as it is.
"""

from __future__ import annotations

import re
from typing import TypeVar

import psycopg

from wedsync_db.errors import LockTimeout, MigrationFailed
from wedsync_db.model import Script, Statement

_Failure = TypeVar("_Failure", bound=MigrationFailed)

# from the first opening to the last closing quote: the value may hold quotes itself; messages may be translated
_QUOTED = re.compile("[\"'\u201c\u201e\u00ab\u2018].*[\"'\u201d\u201c\u00bb\u2019]")
_HEX = re.compile(r"0x[0-9a-fA-F]{2}( 0x[0-9a-fA-F]{2})*")
_EXCERPT_COLUMNS = 160


def explain(error: psycopg.Error, script: Script, statement: Statement, kind: type[_Failure]) -> MigrationFailed:
    """The error of one statement as ours: `0002_x/deploy.sql:12:5: message (SQLSTATE 23505, constraint foo)`.

    `kind` unless PostgreSQL says that a lock was not to be had: that is always LockTimeout.
    """
    position = error.diag.statement_position
    line, column = place(script, statement, int(position) if position else None)
    failure: type[MigrationFailed] = LockTimeout if error.sqlstate == "55P03" else kind
    return failure(
        f"{label(script)}:{line}:{column}: {describe(error)}",
        hint=_hint(error),
        sqlstate=error.sqlstate,
        excerpt=excerpt(script, line, column) if position else "",
    )


def describe(error: psycopg.Error) -> str:
    """PostgreSQL's primary message without row values, with SQLSTATE and constraint."""
    text = error.diag.message_primary or str(error) or type(error).__name__
    line = text.strip().splitlines()[0]
    if (error.sqlstate or "").startswith("22"):
        line = _HEX.sub("…", _QUOTED.sub("…", line))
    known = [f"SQLSTATE {error.sqlstate}"] if error.sqlstate else []
    if error.diag.constraint_name:
        known.append(f"constraint {error.diag.constraint_name}")
    return f"{line} ({', '.join(known)})" if known else line


def label(script: Script) -> str:
    """A script as people call it: `0002_x/deploy.sql`."""
    return f"{script.path.parent.name}/{script.path.name}"


def place(script: Script, statement: Statement, position: int | None) -> tuple[int, int]:
    """Line and column in the file, from 1, of a character of the statement, also from 1; None: of its start."""
    offset = statement.offset + (position or 1) - 1
    start = script.text.rfind("\n", 0, offset) + 1
    return script.text.count("\n", 0, offset) + 1, offset - start + 1


def excerpt(script: Script, line: int, column: int) -> str:
    """That line of the file with a caret under the column; a long line is cut around it."""
    text = script.text.split("\n")[line - 1].rstrip("\r").replace("\t", " ")
    cut = max(0, column - 1 - _EXCERPT_COLUMNS // 2) if len(text) > _EXCERPT_COLUMNS else 0
    return f"{text[cut : cut + _EXCERPT_COLUMNS]}\n{' ' * (column - 1 - cut)}^"


def _hint(error: psycopg.Error) -> str:
    known = {
        "55P03": "Somebody else uses the table; nothing was changed. Try again at a quieter time.",
        "57014": "It was cancelled, or took longer than statement_timeout_ms of the environment allows.",
        "40P01": "It met another transaction's locks the other way round; nothing was changed. Try again.",
        "53200": "Raise max_locks_per_transaction on the server.",
    }
    # only names and SQL of the script itself stand in the hints of this class
    own = error.diag.message_hint if (error.sqlstate or "").startswith("42") else None
    return known.get(error.sqlstate or "", own or "")
