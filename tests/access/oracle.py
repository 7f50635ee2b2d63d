"""What has to happen in a situation, computed from the catalogue and the world alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.access.catalogue import TABLES
from tests.access.rows import Row
from tests.access.world import LEVELS, MEMBERS, Actor

PRIVILEGE, POLICY = "refused 42501 privilege", "refused 42501 policy"
GRANTED, UNGRANTED = "as deployed", "grants lost"  # with grants lost the policies have to hold alone


def rows(those: Iterable[Row]) -> str:
    """The outcome that exactly these rows were read or touched."""
    return "rows " + ",".join(sorted(row.id for row in those))


def refused(sqlstate: str) -> str:
    """The outcome that the statement fails with this SQLSTATE, 42501 apart."""
    return f"refused {sqlstate}"


def may(actor: Actor, operation: str, row: Row) -> bool:
    """Whether the row-level rules let the actor do this with the row; privileges are another matter."""
    if actor.role == "service_role":
        return True
    rule = TABLES[row.table].rule(operation)
    return any(all(_holds(atom, actor, row) for atom in each.split(" & ")) for each in rule.split(" | ") if each)


def _holds(atom: str, actor: Actor, row: Row) -> bool:
    if atom == "anon":
        return actor.role == "anon"
    for comparison in ("!=", "="):
        if comparison in atom:
            column, value = atom.split(comparison)
            return (str(row.values[column]).lower() == value) is (comparison == "=")
    return actor.role == "authenticated" and _is(atom, actor, row)


def _is(atom: str, actor: Actor, row: Row) -> bool:
    name, _, needed = atom.partition(":")
    match name:
        case "self":
            return row.profile == actor.person is not None
        case "sender":
            return row.sender == actor.person is not None
        case "org":
            return row.organization in MEMBERS and actor.level(row.organization) > LEVELS.index(needed)
        case "couple":
            return actor.is_partner(row.wedding)
        case "scope":
            least = "member" if needed == "timeline_edit" else "viewer"
            return actor.is_partner(row.wedding) or bool(actor.works_at(row.wedding, least, needed))
        case "supplier":
            works_for = actor.works_at(row.wedding, needed)
            return bool(works_for if row.organization is None else works_for & {row.organization})
    raise ValueError(atom)


def privileged(actor: Actor, table: str, operation: str, layer: str = GRANTED) -> bool:
    """Whether the actor's role may try this with any row or column of the table at all."""
    if layer == UNGRANTED:
        return True
    if actor.role == "service_role":
        return operation in TABLES[table].service.split()
    if actor.role == "anon":
        return operation == "select" and bool(TABLES[table].public)
    return bool(TABLES[table].rule(operation))


def expected(actor: Actor, operation: str, table: str, those: Iterable[Row], layer: str = GRANTED) -> str:
    """What comes of reading, updating or deleting these rows without a WHERE, or of inserting one of them."""
    if not privileged(actor, table, operation, layer):
        return PRIVILEGE
    allowed = [row for row in those if may(actor, operation, row)]
    if operation == "insert" and not allowed:
        return POLICY
    return rows(allowed)


def keyed(actor: Actor, operation: str, row: Row) -> str:
    """What comes of an UPDATE or DELETE that names the row in its WHERE, so that it has to be readable, too."""
    if not privileged(actor, row.table, operation) or not privileged(actor, row.table, "select"):
        return PRIVILEGE
    return rows([row] if may(actor, operation, row) and may(actor, "select", row) else [])


def moved(actor: Actor, table: str, those: Iterable[Row], target: Mapping[str, Row]) -> str:
    """What comes of moving every row to another tenant, were there nothing but the policies.

    `target` has the row as it would be there, by the id of the row that moves.
    """
    allowed = [row for row in those if may(actor, "update", row)]
    return rows(allowed) if all(may(actor, "update", target[row.id]) for row in allowed) else POLICY
