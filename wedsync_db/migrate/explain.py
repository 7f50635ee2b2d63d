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
from wedsync_db.postgres.excerpt import excerpt, position

_Failure = TypeVar("_Failure", bound=MigrationFailed)

# from the first opening to the last closing quote: the value may hold quotes itself; messages may be translated
_QUOTED = re.compile("[\"'\u201c\u201e\u00ab\u2018].*[\"'\u201d\u201c\u00bb\u2019]")
_HEX = re.compile(r"0x[0-9a-fA-F]{2}( 0x[0-9a-fA-F]{2})*")


def explain(error: psycopg.Error, script: Script, statement: Statement, kind: type[_Failure]) -> MigrationFailed:
    """The error of one statement as ours: `0002_x/deploy.sql:12:5: message (SQLSTATE 23505, constraint foo)`.

    `kind` unless PostgreSQL says that a lock was not to be had: that is always LockTimeout.
    """
    where = error.diag.statement_position
    failure: type[MigrationFailed] = LockTimeout if error.sqlstate == "55P03" else kind
    return failure(
        f"{place(script, statement, int(where or 1))}: {describe(error)}",
        hint=_hint(error),
        sqlstate=error.sqlstate,
        excerpt=excerpt(script.text, statement.offset + int(where) - 1) if where else "",
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


def place(script: Script, statement: Statement, character: int = 1) -> str:
    """Where a character of the statement (from 1) stands: `0002_x/deploy.sql:12:5`."""
    line, column = position(script.text, statement.offset + character - 1)
    return f"{label(script)}:{line}:{column}"


def _hint(error: psycopg.Error) -> str:
    known = {
        "55P03": "Somebody else uses the table; nothing was changed. Try again at a quieter time.",
        "57014": "It was cancelled, or took longer than statement_timeout_ms of the environment allows.",
        "40P01": "It met another transaction's locks the other way round; nothing was changed. Try again.",
        "53100": "A disk of the server is full: make room there, then try again.",
        "53200": "Raise max_locks_per_transaction on the server.",
    }
    # only names and SQL of the script itself stand in the hints of this class
    own = error.diag.message_hint if (error.sqlstate or "").startswith("42") else None
    return known.get(error.sqlstate or "", own or "")
