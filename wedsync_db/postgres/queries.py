"""Named queries: SQL lives in wedsync_db/sql/*.sql, each under `-- name: x` and a line that says why it is there."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: *(\w+)[ \t]*$", re.MULTILINE)


@cache
def query(file: str, name: str) -> LiteralString:
    """The text of one named query: `query("ledger", "insert_entry")` reads wedsync_db/sql/ledger.sql.

    Raises:
        KeyError: there is no query of that name in the file.
    """
    return _file(file)[name]


@cache
def _file(file: str) -> dict[str, LiteralString]:
    text = (resources.files("wedsync_db") / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    # the text comes from our own package, never from outside: that is what LiteralString stands for
    return {name: cast("LiteralString", body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)}


@cache
def numbered_scripts(folder: str) -> tuple[tuple[int, LiteralString], ...]:
    """The scripts wedsync_db/sql/<folder>/NNNN_name.sql with their numbers, in order."""
    files = sorted((resources.files("wedsync_db") / "sql" / folder).iterdir(), key=lambda file: file.name)
    return tuple(
        (int(file.name.split("_")[0]), file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".sql")
    )
