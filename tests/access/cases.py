"""Every case of the matrix: who tries what on which row, the statement, and the outcome it must have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tests.access.attempt import Case, literal
from tests.access.catalogue import TABLES, qualified
from tests.access.oracle import (
    GRANTED,
    PRIVILEGE,
    UNGRANTED,
    expected,
    keyed,
    may,
    moved,
    privileged,
    refused,
    rows,
)
from tests.access.privileges import internal_privileges, table_privileges
from tests.access.rows import ROWS, Row, Value, additions, tenants
from tests.access.special import special_cases
from tests.access.structure import Reference, Structure
from tests.access.world import ACTORS, SERVICE, Actor

READ = "select string_agg(id::text, ',' order by id::text) from {table}{where}"
# a column to write and a value that every row may have
TOUCH = {
    "organizations": "name = 'x'", "profiles": "display_name = 'x'", "memberships": "status = 'active'",
    "invitations": "revoked_at = '2099-01-01'", "api_keys": "name = 'x'", "weddings": "title = 'x'",
    "wedding_people": "given_name = 'x'", "wedding_vendors": "category = 'other'", "wedding_events": "name = 'x'",
    "timeline_items": "title = 'x'", "clients": "name = 'x'", "client_notes": "body = 'x'", "tasks": "title = 'x'",
    "households": "name = 'x'", "guests": "given_name = 'x'", "rsvps": "meal = 'x'", "seating_tables": "capacity = 9",
    "seat_assignments": "seat = null", "forms": "title = 'x'", "form_versions": "created_by = null",
    "form_drafts": "seq = 9", "form_submissions": "status = 'seen'", "packages": "name = 'x'",
    "resources": "name = 'x'", "bookings": "hold_expires_at = null", "contracts": "title = 'x'",
    "subscriptions": "plan = 'free'", "invoices": "notes = 'x'", "invoice_lines": "description = 'x'",
    "payments": "failure_reason = 'x'", "refunds": "reason = 'x'", "stripe_events": "type = 'x'",
    "conversations": "subject = 'x'", "messages": "body = 'x'", "notifications": "read_at = '2099-01-01'",
    "files": "name = 'x'", "consents": "source = 'app'", "data_requests": "reason = 'x'",
    "audit.log": "db_role = 'x'",
}  # fmt: skip
UNKNOWN = "00000000-0000-4000-8000-000000000000"
ADDED = "added 1"
_NO_TRIGGER = ("stripe_events", "audit.log")  # no role of the API updates these


def every_case(structure: Structure) -> tuple[Case, ...]:
    """All cases of all tables the structure has."""
    known = [table for table in TABLES if table in structure.columns]
    internal = [table for table in structure.columns if table not in TABLES and "." in table]
    return (
        *(case for table in known for case in _of_table(table, structure)),
        *(case for table in internal for case in internal_privileges(table, structure.columns[table][0])),
    )


def _of_table(table: str, structure: Structure) -> Iterator[Case]:
    """The cheap and telling ones first, for those who stop at the first failure."""
    yield from table_privileges(table, structure)
    yield from special_cases(table)
    for layer in (GRANTED, UNGRANTED):
        for actor in ACTORS:
            yield from _blind(table, actor, layer)
        for actor in ACTORS:
            yield from _inserts(table, actor, layer, structure)
    for actor in ACTORS:
        yield from _to_another_tenant(table, actor)
        yield from _own_and_foreign(table, actor, structure)
        for reference in structure.references:
            if reference.table == table:
                yield from _to_a_foreign_parent(reference, actor, structure)


def _blind(table: str, actor: Actor, layer: str) -> Iterator[Case]:
    """Reading and writing without a WHERE: no policy for reading stands before the policy for writing."""
    statements = {
        "select": READ.format(table=qualified(table), where=""),
        "update": f"update {qualified(table)} set {TOUCH[table]}",
        "delete": f"delete from {qualified(table)}",
    }
    for operation, statement in statements.items():
        outcome = expected(actor, operation, table, ROWS[table], layer)
        yield Case(table, layer, actor, operation, "all rows", statement, outcome, replica=operation != "select")


def _own_and_foreign(table: str, actor: Actor, structure: Structure) -> Iterator[Case]:
    """Reading by tenant; changing and deleting by key."""
    columns = structure.written(table)
    updatable = sorted(TABLES[table].updatable(columns)) or [TOUCH[table].split(" =")[0]]
    same = ", ".join(f'"{name}" = "{name}"' for name in updatable)
    for tenant in tenants(table):
        those = [row for row in ROWS[table] if row.tenant == tenant]
        value = those[0].values[TABLES[table].tenant[0]]
        where = f" where {TABLES[table].tenant[0]} " + (f"= {literal(value)}" if value else "is null")
        statement, outcome = READ.format(table=qualified(table), where=where), expected(actor, "select", table, those)
        yield Case(table, GRANTED, actor, "select", f"of {tenant}", statement, outcome)
        row = those[0]
        statement = f"delete from {qualified(table)} where id = {literal(row.id)}"
        yield Case(table, GRANTED, actor, "delete", str(row), statement, keyed(actor, "delete", row), replica=True)
        statement = f"update {qualified(table)} set {same} where id = {literal(row.id)}"
        yield Case(table, GRANTED, actor, "update", str(row), statement, keyed(actor, "update", row))


def _inserts(table: str, actor: Actor, layer: str, structure: Structure) -> Iterator[Case]:
    for row in additions(table, actor.person):
        if actor is SERVICE and table == "subscriptions":
            continue  # each organization has its only one already
        outcome = expected(actor, "insert", table, [row], layer)
        situation = " ".join([row.tenant, row.tag, row.sender or ""]).strip()
        statement = _insert(row, _given(row, actor, structure, layer))
        added = ADDED if "rows" in outcome else outcome
        yield Case(table, layer, actor, "insert", situation, statement, added, replica=layer == UNGRANTED)


def _given(row: Row, actor: Actor, structure: Structure, layer: str = GRANTED) -> dict[str, Value]:
    """The columns that the actor's role may give; all where there are none, or the grants do not count."""
    insertable = TABLES[row.table].insertable(structure.written(row.table))
    if actor is SERVICE or layer == UNGRANTED or not insertable:
        return dict(row.values)
    return {name: value for name, value in row.values.items() if name in insertable}


def _insert(row: Row, given: Mapping[str, Value]) -> str:
    names, values = ", ".join(f'"{name}"' for name in given), ", ".join(map(literal, given.values()))
    return f"insert into {qualified(row.table)} ({names}) values ({values})"


def _to_another_tenant(table: str, actor: Actor) -> Iterator[Case]:
    """Every row's tenant changed: refused by the grant, by the trigger for the server side, and by the policy alone."""
    if table in _NO_TRIGGER:
        return
    for column in TABLES[table].tenant:
        statement = f"update {qualified(table)} set {column} = {literal(UNKNOWN)}"
        for layer in (GRANTED, UNGRANTED) if actor is SERVICE else (GRANTED,):
            outcome = PRIVILEGE
            if actor is SERVICE and privileged(actor, table, "update", layer):
                outcome = refused("WS003")
            yield Case(table, layer, actor, "update", f"{column} moved", statement, outcome)
    if actor is not SERVICE:
        yield from _moved_past_the_grant(table, actor)


def _moved_past_the_grant(table: str, actor: Actor) -> Iterator[Case]:
    if not any(may(actor, "update", row) for row in ROWS[table]):
        return
    column = TABLES[table].tenant[0]
    tenant_kind = {"organization_id": "organization", "wedding_id": "wedding", "profile_id": "profile"}
    of_root = {"organizations": "organization", "weddings": "wedding", "profiles": "profile"}
    attribute = of_root.get(table) or tenant_kind[column]
    for tenant in tenants(table):
        target = {row.id: replace(row, **{attribute: tenant}) for row in ROWS[table]}
        to = next(row.values[column] for row in ROWS[table] if row.tenant == tenant)
        statement = f"update {qualified(table)} set {column} = {literal(to)}"
        outcome = moved(actor, table, ROWS[table], target)
        yield Case(table, UNGRANTED, actor, "update", f"moved to {tenant}", statement, outcome, replica=True)


def _to_a_foreign_parent(reference: Reference, actor: Actor, structure: Structure) -> Iterator[Case]:
    """A reference into another tenant gets the answer of one that leads nowhere."""
    table, tenant = reference.table, TABLES[reference.table].tenant
    old, new = ROWS[table][0], additions(table, actor.person)[0]
    for column in set(reference.columns) - set(tenant) - {"id"}:
        for value, where in ((_foreign(reference, column, old), "a foreign parent"), (UNKNOWN, "no parent")):
            outcome = keyed(actor, "update", old)
            if actor is not SERVICE and column not in TABLES[table].updatable(structure.columns[table]):
                outcome = PRIVILEGE
            statement = f"update {qualified(table)} set {column} = {literal(value)} where id = {literal(old.id)}"
            yield _unless_refused(table, actor, "update", f"{column} of {where}", statement, outcome)
            outcome = expected(actor, "insert", table, [new])
            if actor is not SERVICE and column not in TABLES[table].insertable(structure.columns[table]):
                outcome = PRIVILEGE
            statement = _insert(new, _given(new, actor, structure) | {column: value})
            yield _unless_refused(table, actor, "insert", f"{column} of {where}", statement, outcome)


def _unless_refused(table: str, actor: Actor, operation: str, situation: str, statement: str, outcome: str) -> Case:
    """What reaches a row or adds one fails on the foreign key."""
    outcome = outcome if "refused" in outcome or outcome == rows([]) else refused("23503")
    return Case(table, GRANTED, actor, operation, situation, statement, outcome)


def _foreign(reference: Reference, column: str, row: Row) -> Value:
    """A value that is in the parent table, but not together with the row's tenant."""

    def together(values: Mapping[str, Value]) -> tuple[Value, ...]:
        return tuple(values.get(name) for name in reference.columns)

    def as_child(parent: Row) -> dict[str, Value]:
        return dict(zip(reference.columns, (parent.values[name] for name in reference.parent_columns), strict=True))

    known = {together(as_child(parent)) for parent in ROWS[reference.parent]}
    candidates = (as_child(parent)[column] for parent in ROWS[reference.parent])
    return next(value for value in candidates if together({**row.values, column: value}) not in known)
