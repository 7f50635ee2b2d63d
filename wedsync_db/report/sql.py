"""SQL laid out for people."""

from __future__ import annotations

LONGEST = 20_000  # characters; laying out more takes seconds, and nobody reads it


def pretty_sql(sql: str) -> str:
    """A statement laid out over indented lines; as it is where it is too long or sqlparse gives up. Never to be run."""
    if len(sql) > LONGEST:
        return sql
    import sqlparse
    from sqlparse.exceptions import SQLParseError

    try:
        return str(sqlparse.format(sql, reindent=True, keyword_case="lower", strip_whitespace=True)).strip()
    except (SQLParseError, RecursionError):
        return sql
