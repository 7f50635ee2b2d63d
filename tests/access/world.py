"""The people, organizations and weddings of the matrix, and what each is to the others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

LEVELS = ("viewer", "member", "admin", "owner")
SCOPES = ("overview", "people", "timeline", "timeline_edit", "guests")
_ALL = " ".join(SCOPES)

# organization -> person -> level; E is closed, F was removed from its wedding, nobody works for G
MEMBERS = {
    "A": {
        "owner_a": "owner", "admin_a": "admin", "member_a": "member", "viewer_a": "viewer", "suspended_a": "owner",
        "two_tenants": "admin", "partner_and_member": "member",
    },
    "B": {"owner_b": "owner", "two_tenants": "member"},
    "C": {"owner_c": "owner"},
    "D": {"owner_d": "owner", "two_tenants": "viewer", "partner_and_viewer": "viewer"},
    "E": {"owner_closed": "owner"},
    "F": {"owner_removed": "owner"},
    "G": {},
}  # fmt: skip
SUSPENDED, CLOSED = "suspended_a", "E"
# wedding -> person -> role
PEOPLE = {
    "W1": {"couple_1": "partner", "partner_and_viewer": "partner", "parent_1": "parent"},
    "W2": {"couple_2": "partner"},
    "W3": {"officiant_3": "officiant", "partner_and_member": "partner"},
}
# wedding -> organization -> status and scopes: any two scopes are told apart by a supplier who has only one of them
VENDORS = {
    "W1": {
        "A": ("accepted", "overview timeline timeline_edit"), "B": ("accepted", "people guests"),
        "C": ("invited", _ALL), "E": ("accepted", _ALL), "F": ("removed", _ALL),
    },
    "W2": {"B": ("accepted", "overview"), "D": ("accepted", _ALL)},
    "W3": {
        "A": ("accepted", "guests"), "B": ("accepted", "timeline_edit"), "D": ("accepted", "timeline people"),
        "F": ("declined", _ALL),
    },
}  # fmt: skip
ORGANIZATIONS, WEDDINGS = tuple(MEMBERS), tuple(VENDORS)


def key(table: str, tenant: str, tag: str = "1") -> str:
    """The id of a row of the matrix."""
    return str(uuid5(NAMESPACE_URL, f"{table}/{tenant}/{tag}"))


@dataclass(frozen=True)
class Actor:
    """Somebody who asks: a database role, and the person in the token's claims."""

    name: str
    role: str = "authenticated"
    person: str | None = None

    @property
    def claims(self) -> str:
        """The token's claims as the API sets them."""
        return json.dumps({"role": self.role} | ({"sub": key("profiles", self.person)} if self.person else {}))

    def level(self, organization: str) -> int:
        """0 without a say, else how high up: 1 is a viewer."""
        if self.person is None or self.person == SUSPENDED or organization == CLOSED:
            return 0
        level = MEMBERS[organization].get(self.person)
        return LEVELS.index(level) + 1 if level else 0

    def is_partner(self, wedding: str) -> bool:
        """Whether it is this person's wedding."""
        return PEOPLE[wedding].get(self.person or "") == "partner"

    def works_at(self, wedding: str, least: str, scope: str | None = None) -> frozenset[str]:
        """For which accepted suppliers of the wedding, with this scope, the person works at this level or above."""
        return frozenset(
            organization
            for organization, (status, scopes) in VENDORS[wedding].items()
            if status == "accepted"
            and (scope is None or scope in scopes.split())
            and self.level(organization) > LEVELS.index(least)
        )


PERSONS = (*dict.fromkeys(name for group in (*MEMBERS.values(), *PEOPLE.values()) for name in group), "outsider")
SERVICE, ANON = Actor("service_role", "service_role"), Actor("anon", "anon")
ACTORS = (
    ANON,
    Actor("anon with an owner's claims", "anon", "owner_a"),
    Actor("signed in without a subject"),
    *(Actor(person, person=person) for person in PERSONS),
    SERVICE,
)
