"""Deployed access control, broken in one place: made from the catalog, so that what is added later is broken, too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psycopg

from tests.access.catalogue import TABLES, qualified
from tests.access.structure import Structure
from tests.access.world import LEVELS, SCOPES

_POLICIES = """
select coalesce(nullif(n.nspname, 'public') || '.', '') || c.relname, p.polname,
  case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' else 'delete' end,
  coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
from pg_policy as p join pg_class as c on c.oid = p.polrelid join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any (array['public', 'audit', 'app', 'ops']) order by 1, 2"""
_TRIGGERS = r"""
select c.relname, t.tgname from pg_trigger as t
join pg_proc as f on f.oid = t.tgfoid join pg_class as c on c.oid = t.tgrelid
where not t.tgisinternal and f.proname ~ '^keep_(tenant|signed|issued|issued_lines|owner)$' order by 1, 2"""
_FUNCTIONS = """
select proname, pg_get_functiondef(oid) from pg_proc
where pronamespace = 'app'::regnamespace and prosecdef and prorettype = 'uuid[]'::regtype order by 1"""
_TABLE_WIDE, _BY_COLUMN = ("select", "insert", "update", "delete", "truncate"), ("select", "insert", "update")
_ROLES = ("anon", "authenticated", "service_role")
_HELD = """
select role, privilege, has_table_privilege(role, %(table)s, privilege),
  array(select name from unnest(%(columns)s::text[]) as name
    where privilege = any (%(by_column)s) and has_column_privilege(role, %(table)s, name, privilege))
from unnest(%(roles)s::text[]) as role, unnest(%(privileges)s::text[]) as privilege"""


@dataclass(frozen=True)
class Mutant:
    """One thing broken: `kind` is what was done to `what`; `tables` are those whose cases may notice."""

    kind: str
    what: str
    statement: str
    tables: tuple[str, ...]

    def __str__(self) -> str:
        """For people, and in the golden file."""
        return f"{self.kind}: {self.what}"


@dataclass(frozen=True)
class Policy:
    """A policy as the catalog has it; an expression that is not there is empty."""

    table: str
    name: str
    command: str
    using: str
    check: str


def every_mutant(connection: psycopg.Connection, structure: Structure) -> tuple[Mutant, ...]:
    """All of them."""
    with connection.transaction():
        connection.execute("set local search_path = ''")  # names in expressions come out qualified
        policies = [Policy(*row) for row in connection.execute(_POLICIES)]
        triggers = connection.execute(_TRIGGERS).fetchall()
        functions = connection.execute(_FUNCTIONS).fetchall()
    return (
        *(mutant for policy in policies for mutant in _of_policy(policy)),
        *(_rls_off(table) for table in structure.columns if _has_rls(connection, table)),
        *(mutant for table, columns in structure.columns.items() for mutant in _of_grants(connection, table, columns)),
        *(_trigger_gone(table, name) for table, name in triggers),
        *(mutant for name, definition in functions for mutant in _of_function(name, definition, policies)),
    )  # fmt: skip


def _has_rls(connection: psycopg.Connection, table: str) -> bool:
    """Whether there is anything to switch off: what no API role reaches has none."""
    query = "select relrowsecurity from pg_class where oid = %s::regclass"
    return connection.execute(query, [qualified(table)]).fetchone()[0]


def _of_policy(policy: Policy) -> Iterator[Mutant]:
    on = f"{policy.name} on {qualified(policy.table)}"

    def mutant(kind: str, statement: str, detail: str = "") -> Mutant:
        return Mutant(kind, f"{policy.table} {policy.name}{detail}", statement, (policy.table,))

    yield mutant("policy gone", f"drop policy {on}")
    yield mutant("to public", f"alter policy {on} to public")
    one = policy.using or policy.check
    widened = f"drop policy {on}; create policy {on} for all to authenticated using ({one}) with check ({one})"
    yield mutant("for all commands", widened)
    for clause, expression in (("using", policy.using), ("with check", policy.check)):
        if not expression and not (clause == "with check" and policy.command == "update"):
            continue
        yield mutant(f"{clause} true", f"alter policy {on} {clause} (true)")
        for changed, detail in _weakened(expression or policy.using):
            yield mutant(f"{clause} weaker", f"alter policy {on} {clause} ({changed})", f" {detail}")


def _weakened(expression: str) -> Iterator[tuple[str, str]]:
    """The expression with a lower level, another scope, or without one of its conditions; and what was done."""
    for found in re.finditer(r"(org_ids|conversation_ids|wedding_ids)\('(\w+)'::text\)", expression):
        function, argument = found.groups()
        for other in _weaker(function, argument):
            changed = expression[: found.start(2)] + other + expression[found.end(2) :]
            yield changed, f"{argument} as {other}"
    for start, end in _conditions(expression):
        yield f"{expression[:start]}true{expression[end:]}", f"without {expression[start:end]}"


def _weaker(function: str, argument: str) -> Iterable[str]:
    """The next lower level; every other scope, for none is below another."""
    if function == "wedding_ids":
        return [scope for scope in ("couple", *SCOPES) if scope != argument]
    return LEVELS[max(LEVELS.index(argument) - 1, 0) : LEVELS.index(argument)]


def _conditions(expression: str) -> Iterator[tuple[int, int]]:
    """Where the operands of every AND stand."""
    for found in re.finditer(r" AND ", expression):
        yield _operand(expression, found.start(), -1)
        yield _operand(expression, found.end(), 1)


def _operand(expression: str, at: int, step: int) -> tuple[int, int]:
    """The operand that ends or begins at a place: PostgreSQL writes each in parentheses."""
    opening, closing = "()" if step > 0 else ")("
    depth, place = 0, at if step > 0 else at - 1
    while True:
        depth += {opening: 1, closing: -1}.get(expression[place], 0)
        if depth == 0:
            return (at, place + 1) if step > 0 else (place, at)
        place += step


def _rls_off(table: str) -> Mutant:
    return Mutant("row security off", table, f"alter table {qualified(table)} disable row level security", (table,))


def _trigger_gone(table: str, name: str) -> Mutant:
    return Mutant("trigger gone", f"{table} {name}", f"drop trigger {name} on {qualified(table)}", (table,))


def _of_grants(connection: psycopg.Connection, table: str, columns: tuple[str, ...]) -> Iterator[Mutant]:
    """Every privilege that a role has is taken away; every one it has not is given, by column, too, once signed in."""
    known = {"table": qualified(table), "columns": list(columns), "roles": list(_ROLES)}
    known |= {"privileges": list(_TABLE_WIDE), "by_column": list(_BY_COLUMN)}
    for role, privilege, whole, of in connection.execute(_HELD, known).fetchall():
        if whole or of:
            statement = f"revoke {privilege} on {qualified(table)} from {role}"
            yield Mutant("grant lost", f"{table} {privilege} from {role}", statement, (table,))
        if not whole:
            yield _granted(table, privilege, role)
        if privilege in _BY_COLUMN and role == "authenticated" and table in TABLES:
            yield from (_granted(table, f'{privilege} ("{name}")', role) for name in columns if name not in of)
    yield from (_granted(table, privilege, "public") for privilege in _TABLE_WIDE)


def _granted(table: str, privilege: str, role: str) -> Mutant:
    statement = f"grant {privilege} on {qualified(table)} to {role}"
    return Mutant("granted beyond", f"{table} {privilege} to {role}", statement, (table,))


def _of_function(name: str, definition: str, policies: Iterable[Policy]) -> Iterator[Mutant]:
    """Each condition in the functions that the policies ask, taken for true."""
    asking = dict.fromkeys(policy.table for policy in policies if f".{name}(" in policy.using + policy.check)
    asking.setdefault("conversations")  # where words that there are not are tried
    for found in re.finditer(r"\b(?:where|and|on) ((?:(?!\band\b|\bor\b|\n(?!\s*>)).)+)", definition, re.DOTALL):
        condition = found[1].rstrip()
        if condition.count("(") == condition.count(")"):
            changed = f"{definition[: found.start(1)]}true{definition[found.start(1) + len(condition) :]}"
            yield Mutant("function asks less", f"{name} without {' '.join(condition.split())}", changed, tuple(asking))
