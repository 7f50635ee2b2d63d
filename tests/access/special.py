"""The cases that no rule about a table's rows makes: what a value may become, and states that are final."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.access.attempt import Case, literal
from tests.access.catalogue import qualified
from tests.access.oracle import GRANTED, POLICY, refused, rows
from tests.access.rows import ROWS, Row, make
from tests.access.world import ACTORS

_BY_NAME = {actor.name: actor for actor in ACTORS}
_KEPT, _NONE = refused("WS005"), rows([])
REACHED = "that row"

# actor, whose membership in A, what it is to become, outcome
_LEVELS = (
    ("owner_a", "viewer_a", "role = 'owner'", REACHED),
    ("admin_a", "viewer_a", "role = 'owner'", POLICY),
    ("admin_a", "admin_a", "role = 'owner'", POLICY),
    ("two_tenants", "two_tenants", "role = 'owner'", POLICY),
    ("admin_a", "viewer_a", "role = 'admin'", REACHED),
    ("admin_a", "owner_a", "role = 'viewer'", _NONE),
    ("admin_a", "owner_a", "status = 'suspended'", _NONE),
    ("admin_a", "suspended_a", "status = 'active'", _NONE),
    ("suspended_a", "suspended_a", "status = 'active'", _NONE),
    ("member_a", "member_a", "role = 'admin'", _NONE),
    ("owner_d", "viewer_a", "role = 'admin'", _NONE),
    ("service_role", "viewer_a", "role = 'owner'", REACHED),
)
# actor, state of the contract of A, what it is to become, outcome
_CONTRACTS = (
    *((actor, state, "title = 'x'", _KEPT) for actor in ("member_a", "service_role") for state in ("signed", "void")),
    *((actor, "signed", "status = 'void'", REACHED) for actor in ("member_a", "service_role")),
    ("member_a", "signed", "status = 'void', total_minor = 1", _KEPT),
    ("service_role", "signed", "signed_name = 'Eve'", _KEPT),
    ("member_a", "signed", "status = 'draft'", _KEPT),
    ("member_a", "void", "status = 'draft'", _KEPT),
    ("service_role", "void", "status = 'signed'", _KEPT),
    ("viewer_a", "signed", "status = 'void'", _NONE),
    ("owner_d", "signed", "status = 'void'", _NONE),
)
# the same for the invoice of A that was issued, and for one of its lines
_INVOICES = (
    *((actor, "contract_id = null", _KEPT) for actor in ("admin_a", "service_role")),
    ("admin_a", "number = 'x'", _KEPT),
    ("service_role", "total_minor = 1, net_minor = 1", _KEPT),
    ("admin_a", "status = 'draft'", _KEPT),
    ("admin_a", "notes = 'x'", REACHED),
    ("admin_a", "status = 'void'", REACHED),
    ("member_a", "status = 'void'", _NONE),
    ("owner_d", "status = 'void'", _NONE),
)
_LINES = (
    ("admin_a", "unit_minor = 1", _KEPT),
    ("service_role", "unit_minor = 1", _KEPT),
    ("member_a", "quantity = 2", _NONE),
)
# an organization keeps an owner
_OWNERS = tuple(
    (actor, change, refused("WS004"))
    for actor in ("owner_d", "service_role")
    for change in ("role = 'admin'", "status = 'suspended'")
)
# who is in everything gets nothing by a word that there is not
_UNKNOWN_WORDS = tuple(
    (name, f"app.{function}({word})")
    for name in ("couple_1", "owner_a", "owner_d")
    for function in ("org_ids", "wedding_ids", "conversation_ids")
    for word in ("'no such'", "''", "null")
)


def special_cases(table: str) -> Iterator[Case]:
    """Those of this table."""
    for name, tag, change, outcome in _LEVELS if table == "memberships" else ():
        yield _change(name, find(table, "A", tag), change, outcome, replica=True)
    for name, change, outcome in _OWNERS if table == "memberships" else ():
        yield _change(name, find(table, "D", "owner_d"), change, outcome)
    for name, state, change, outcome in _CONTRACTS if table == "contracts" else ():
        yield _change(name, find(table, "A", state), change, outcome)
    for name, change, outcome in {"invoices": _INVOICES, "invoice_lines": _LINES}.get(table, ()):
        yield _change(name, find(table, "A", "issued"), change, outcome)
    if table == "contracts":
        yield from _signed_contracts_stay()
    if table == "forms":
        yield from _conflicts()
    for name, question in _UNKNOWN_WORDS if table == "conversations" else ():
        asking = replace(_BY_NAME[name], role="none")  # as the superuser: the schema is closed to who signs in
        statement = f"select array_to_string({question}, ',')"
        yield Case(table, GRANTED, asking, "select", f"ask {question}", statement, _NONE)


def _signed_contracts_stay() -> Iterator[Case]:
    row = find("contracts", "A", "signed")
    for name, outcome in (("service_role", _KEPT), ("owner_a", _NONE)):
        statement = f"delete from public.contracts where id = {literal(row.id)}"
        yield Case("contracts", GRANTED, _BY_NAME[name], "delete", str(row), statement, outcome)


def find(table: str, tenant: str, tag: str = "1") -> Row:
    """A row of the matrix by its names."""
    return next(row for row in ROWS[table] if (row.tenant, row.tag) == (tenant, tag))


def _change(name: str, row: Row, change: str, outcome: str, *, replica: bool = False) -> Case:
    statement = f"update {qualified(row.table)} set {change} where id = {literal(row.id)}"
    reached = rows([row]) if outcome == REACHED else outcome
    return Case(row.table, GRANTED, _BY_NAME[name], "update", f"{row}: {change}", statement, reached, replica)


def _conflicts() -> Iterator[Case]:
    """A key that another tenant has taken answers as a free one does."""
    for slug in (find("forms", "D").values["slug"], "free"):
        for action in ("nothing", "update set title = 'x'"):
            values = f"values ({literal(make('organizations', 'D').id)}, 'x', {literal(slug)})"
            statement = (
                f"insert into public.forms (organization_id, title, slug) {values}"
                f" on conflict (organization_id, slug) do {action}"
            )
            yield Case(
                "forms", GRANTED, _BY_NAME["owner_a"], "insert", f"{slug}, on conflict {action}", statement, POLICY
            )
