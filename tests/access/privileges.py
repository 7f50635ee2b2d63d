"""What each role of the API may do with each table and column, whoever asks: the cases about grants alone."""

from __future__ import annotations

from collections.abc import Iterator

from tests.access.attempt import Case
from tests.access.catalogue import INTERNAL, TABLES, qualified
from tests.access.oracle import GRANTED, PRIVILEGE, UNGRANTED, rows
from tests.access.structure import Structure
from tests.access.world import ANON, SERVICE, Actor

SIGNED_IN = Actor("signed in", person="outsider")
_HOLDS = """select 'granted' from pg_class
where relnamespace = (select oid from pg_namespace where nspname = '{}') and relname = '{}'
  and has_table_privilege(oid, '{privilege}')"""
# whether a role may use a column shows before any row is looked at
_COLUMN = {
    "select": 'select "{column}" from {table} limit 0',
    "insert": 'explain insert into {table} ("{column}") values (default)',
    "update": 'update {table} set "{column}" = default where false',
}


def table_privileges(table: str, structure: Structure) -> Iterator[Case]:
    """What each role may do with each column, and that none may do what no row-level policy binds."""
    for actor in (ANON, SIGNED_IN, SERVICE):
        for column in structure.columns[table]:
            for operation, statement in _COLUMN.items():
                granted = _column_granted(actor, table, operation, column, structure)
                yield Case(
                    table, GRANTED, actor, f"{operation} column", column,
                    statement.format(table=qualified(table), column=column), rows([]) if granted else PRIVILEGE,
                )  # fmt: skip
        yield Case(table, GRANTED, actor, "truncate", "", f"truncate {qualified(table)}", PRIVILEGE)
        missing = {"select", "insert", "update", "delete"} if actor is ANON and not TABLES[table].public else set()
        yield from _held(table, actor, "references", "trigger", "truncate", *sorted(missing))


def _held(table: str, actor: Actor, *privileges: str) -> Iterator[Case]:
    """Privileges that the role does not hold, not even out of reach in a schema that is closed to it."""
    for privilege in privileges:
        statement = _HOLDS.format(*qualified(table).split("."), privilege=privilege)
        yield Case(table, GRANTED, actor, "select", f"holds {privilege}", statement, rows([]))


def internal_privileges(table: str, column: str) -> Iterator[Case]:
    """What is no part of the API: nothing but what the server side may read, and no row without a policy."""
    statements = _COLUMN | {"delete": "explain delete from {table}", "truncate": "truncate {table}"}
    for actor in (ANON, SIGNED_IN, SERVICE):
        for operation, statement in statements.items():
            granted = actor is SERVICE and operation in INTERNAL.get(table.split(".", maxsplit=1)[0], "").split()
            text = statement.format(table=table, column=column)
            yield Case(table, GRANTED, actor, f"{operation} any", "", text, rows([]) if granted else PRIVILEGE)
            if not granted:
                yield from _held(table, actor, operation)
    for actor in (ANON, SIGNED_IN):
        statement = f"select 'some' from {table} limit 1"
        yield Case(table, UNGRANTED, actor, "select", "any row", statement, rows([]))


def _column_granted(actor: Actor, table: str, operation: str, column: str, structure: Structure) -> bool:
    rights = TABLES[table]
    if actor is SERVICE:
        return operation in rights.service.split()
    if actor is ANON:
        return operation == "select" and column in rights.public
    if operation == "select":
        return column in rights.readable(structure.columns[table])
    written = structure.written(table)
    return column in (rights.insertable(written) if operation == "insert" else rights.updatable(written))
