"""Who may do what with a table: its grants, with the policies behind them in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wedsync_db.schema.catalog import Policy, Table
from wedsync_db.schema.words import who

_ACTIONS: Mapping[str, str] = {"select": "read", "insert": "insert", "update": "update", "delete": "delete"}


def access(table: Table) -> Iterator[str]:
    """A table of what is let in through the API, then a line on the platform's own server side."""
    rows = [row for role in ("anon", "authenticated", "PUBLIC") for row in _rows(table, role)]
    if rows:
        yield from ("", "| may | who | columns |", "|---|---|---|", *rows)
    granted = [p for p in (*_ACTIONS, "truncate") if _columns(table, "service_role", p) is not None]
    yield ""
    alone = "" if rows else "Nobody through the API. "
    yield f"{alone}`service_role` may {', '.join(_ACTIONS.get(p, p) for p in granted) or 'do nothing'}."


def _rows(table: Table, role: str) -> Iterator[str]:
    for privilege, action in _ACTIONS.items():
        columns = _columns(table, role, privilege)
        if columns is not None:
            shown = "" if privilege == "delete" else ", ".join(columns) or "all"
            yield f"| {action} | {_people(table, role, privilege)} | {shown} |"


def _columns(table: Table, role: str, privilege: str) -> tuple[str, ...] | None:
    """The columns a role has a privilege on: none named means all, None that it has not got it."""
    found = [g.columns for g in table.grants if (g.role, g.privilege) == (role, privilege)]
    if not found:
        return None
    return () if () in found else tuple(c for columns in found for c in columns)


def _people(table: Table, role: str, privilege: str) -> str:
    if not table.protected:
        return f"every row as `{role}`" if not table.is_view else "who may read what it shows"
    asked = [p for p in table.policies if p.command in (privilege, "all") and {role, "PUBLIC"} & set(p.roles)]
    let_in = "; or ".join(_let_in(p, privilege) for p in asked) or "nobody: no policy lets in"
    return f"whoever is not signed in, where {let_in}" if role == "anon" else let_in


def _let_in(policy: Policy, privilege: str) -> str:
    if privilege == "insert":
        return who(policy.check or policy.using)
    changed = f"; afterwards: {who(policy.check)}" if privilege == "update" and policy.check else ""
    return who(policy.using) + changed
