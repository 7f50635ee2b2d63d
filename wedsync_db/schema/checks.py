"""Checks over the catalog of a PostgreSQL 15 to 18: what leaks between tenants, and what is slow for all of them.

They cover the defects that the public linters of Supabase look for, except what is a matter of operating (bloat, slots,
settings of its services), and those that only show when one knows what a tenant is here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import LiteralString

import psycopg

from wedsync_db.model import Finding
from wedsync_db.postgres.queries import query
from wedsync_db.schema import definers, policies
from wedsync_db.schema.definers import Definer
from wedsync_db.schema.policies import Policy
from wedsync_db.schema.rules import QUERIED

ROOTS = ("public.organizations", "public.weddings", "public.profiles")


def check_schema(connection: psycopg.Connection, *, roots: tuple[str, ...] = ROOTS) -> tuple[Finding, ...]:
    """Everything found, errors first; an object's name begins its message.

    Needs no rights, writes nothing, and leaves nothing of the session changed. Works inside a transaction, too, and
    then sees its changes. The roles of the API are anon, authenticated and service_role, where they exist.

    Args:
        connection: A session with the database.
        roots: The tables whose rows are the tenants; a table with a mandatory reference to one belongs to it.
    """
    with connection.transaction(force_rollback=True):  # takes the pinned settings back, also in an outer transaction
        connection.execute(query("schema_checks", "pin"))
        found = tuple(_found(connection, {"roots": list(roots)}))
    return tuple(sorted(found, key=lambda f: (_WEIGHT[f.severity.value], f.rule, f.message)))


_AT_ONCE = 8  # rules in one statement: one each, or all at once, takes two to four times as long
_WEIGHT = {"error": 0, "warning": 1, "note": 2}


def _found(connection: psycopg.Connection, known: dict[str, list[str]]) -> Iterator[Finding]:
    for first in range(0, len(QUERIED), _AT_ONCE):
        for name, object_, detail in connection.execute(_several(tuple(QUERIED)[first : first + _AT_ONCE]), known):
            yield QUERIED[name].finding(name, object_, detail)
    yield from policies.judge(
        Policy(table, name, command, permissive, tuple(roles), using, check, frozenset(indexed), has_tenant)
        for table, name, command, permissive, roles, using, check, indexed, has_tenant in connection.execute(
            _scoped(query("schema_checks", "policies")), known
        )
    )
    yield from definers.judge(
        Definer(name, frozenset(callers), search_path)
        for name, callers, search_path in connection.execute(
            _scoped(query("schema_checks", "definer_functions")), known
        )
    )


@cache
def _several(names: tuple[LiteralString, ...]) -> LiteralString:
    """One statement for some of the rules: they share what `scope` computes."""
    branches: list[LiteralString] = []
    for name in names:
        body = query("schema_checks", name.replace("-", "_"))
        branches.append(f"select '{name}', q.object, q.detail from (\n{body}\n) as q (object, detail)")  # noqa: S608 our own text
    return _scoped("\nunion all\n".join(branches))


def _scoped(body: LiteralString) -> LiteralString:
    scope = query("schema_checks", "scope")
    return f"{scope}\n{body}"
