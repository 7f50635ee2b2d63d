"""Who may do what with each table, as data: written from the contract in words, never from the policies.

A rule is alternatives joined by ` | `, each a conjunction joined by ` & `; the empty rule is nobody. What the atoms
mean is in tests/access/oracle.py: `org:LEVEL`, `couple`, `scope:SCOPE`, `self`, `anon`, `supplier:LEVEL`, `sender`,
`column=value` and `column!=value`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ORGANIZATION, WEDDING, PROFILE = "organization_id", "wedding_id", "profile_id"
SERVERS_OWN = frozenset({"id", "created_at", "updated_at"})  # nobody signed in writes these, nor generated columns
FULL, KEPT = "select insert update delete", "select insert update"


@dataclass(frozen=True)
class Table:
    """What the API's roles may do with a table.

    `tenant` holds the columns that never change, the axis first. `inserted` and `updated` name the columns that
    somebody signed in may write, None for all but the server's own; the columns of `never` are not among these.
    """

    tenant: tuple[str, ...]
    read: str = ""
    insert: str = ""
    update: str = ""
    delete: str = ""
    inserted: tuple[str, ...] | None = None
    updated: tuple[str, ...] | None = None
    never: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()  # no one signed in reads these
    public: tuple[str, ...] = ()  # and these are what anon reads
    service: str = FULL

    def rule(self, operation: str) -> str:
        """The rule for select, insert, update or delete."""
        return self.read if operation == "select" else str(getattr(self, operation))

    def insertable(self, columns: Iterable[str]) -> frozenset[str]:
        """The columns of all these that somebody signed in may give in an INSERT."""
        chosen = columns if self.inserted is None else self.inserted
        return frozenset(chosen) - SERVERS_OWN - set(self.never) if self.insert else frozenset()

    def updatable(self, columns: Iterable[str]) -> frozenset[str]:
        """The columns of all these that somebody signed in may set in an UPDATE."""
        chosen = columns if self.updated is None else self.updated
        return frozenset(chosen) - SERVERS_OWN - set(self.never) - set(self.tenant) if self.update else frozenset()

    def readable(self, columns: Iterable[str]) -> frozenset[str]:
        """The columns of all these that somebody signed in may read."""
        return frozenset(columns) - set(self.hidden) if self.read else frozenset()


def _same(rule: str) -> dict[str, str]:
    return {"insert": rule, "update": rule, "delete": rule}


def _guest_list(**more: tuple[str, ...]) -> Table:
    return Table((WEDDING,), "scope:guests", **_same("couple"), **more)  # type: ignore[arg-type]


TABLES = {
    # tenancy
    "organizations": Table(
        ("id",), "org:viewer", update="org:admin", updated=("name", "category", "time_zone")
    ),
    "profiles": Table(("id",), "self", update="self", updated=("display_name", "locale")),
    "memberships": Table(
        (ORGANIZATION, PROFILE), "org:viewer", update="org:owner | org:admin & role!=owner",
        delete="org:owner | org:admin & role!=owner", updated=("role", "status"),
    ),
    "invitations": Table(
        (ORGANIZATION,), "org:admin", update="org:admin", updated=("revoked_at",), hidden=("token_hash",)
    ),
    "api_keys": Table(
        (ORGANIZATION,), "org:admin", update="org:admin", updated=("name", "revoked_at"), hidden=("secret_hash",)
    ),
    # weddings
    "weddings": Table(
        ("id",), "scope:overview", update="couple",
        updated=("title", "wedding_date", "time_zone", "venue_name", "guest_estimate", "status"),
    ),
    "wedding_people": Table((WEDDING,), "scope:people", **_same("couple"), never=("profile_id",)),
    "wedding_vendors": Table(
        (WEDDING, ORGANIZATION), "couple | org:viewer", **_same("couple"),
        inserted=("wedding_id", "organization_id", "category", "scopes", "contact_email"),
        updated=("category", "scopes", "contact_email"),
    ),
    "wedding_events": Table((WEDDING,), "scope:overview", **_same("couple")),
    "timeline_items": Table((WEDDING,), "scope:timeline", **_same("scope:timeline_edit")),
    # clients
    "clients": Table((ORGANIZATION,), "org:viewer", "org:member", "org:member", "org:admin"),
    "client_notes": Table((ORGANIZATION,), "org:viewer", **_same("org:member"), updated=("body", "pinned")),
    "tasks": Table((ORGANIZATION,), "org:viewer", **_same("org:member")),
    # guests
    "households": _guest_list(),
    "guests": _guest_list(),
    "rsvps": _guest_list(updated=("answer", "meal", "message", "answered_at")),
    "seating_tables": _guest_list(updated=("name", "capacity")),
    "seat_assignments": _guest_list(),
    # forms
    "forms": Table(
        (ORGANIZATION,), "org:viewer | anon & status=published", "org:member", "org:member", "org:admin",
        inserted=("organization_id", "title", "slug", "status"),
        updated=("title", "slug", "status", "published_version_id"),
        public=("id", "organization_id", "title", "slug", "status", "published_version_id"),
    ),
    "form_versions": Table(
        (ORGANIZATION,), "org:viewer | anon & published=true", "org:member",
        public=("id", "organization_id", "form_id", "version", "definition", "published"),
        service="select insert delete",
    ),
    "form_drafts": Table((ORGANIZATION,), "org:member", **_same("org:member"), updated=("answers", "seq")),
    "form_submissions": Table(
        (ORGANIZATION,), "org:viewer", update="org:member", delete="org:admin", updated=("status",)
    ),
    # bookings
    "packages": Table((ORGANIZATION,), "org:viewer", **_same("org:admin")),
    "resources": Table((ORGANIZATION,), "org:viewer", **_same("org:admin")),
    "bookings": Table((ORGANIZATION,), "org:viewer", "org:member", "org:member", "org:admin"),
    "contracts": Table(
        (ORGANIZATION,), "org:viewer", "org:member", "org:member", "org:admin & status=draft",
        never=("signed_at", "signed_name"),
    ),
    # money
    "subscriptions": Table((ORGANIZATION,), "org:admin", service=KEPT),
    "invoices": Table(
        (ORGANIZATION,), "org:member", "org:admin", "org:admin",
        inserted=("organization_id", "client_id", "contract_id", "number", "currency", "notes", "due_on"),
        updated=("client_id", "contract_id", "number", "currency", "notes", "due_on", "status"), service=KEPT,
    ),
    "invoice_lines": Table(
        (ORGANIZATION,), "org:member", "org:admin", "org:admin", service=KEPT,
        updated=("position", "description", "quantity", "unit_minor", "tax_basis_points"),
    ),
    "payments": Table((ORGANIZATION,), "org:member", service=KEPT),
    "refunds": Table((ORGANIZATION,), "org:member", service=KEPT),
    "stripe_events": Table((ORGANIZATION,), service="select"),
    # communication
    "conversations": Table(
        (WEDDING, ORGANIZATION), "couple | supplier:viewer", "couple", "couple",
        inserted=("wedding_id", "organization_id", "subject"), updated=("subject", "closed_at"),
    ),
    "messages": Table(
        (WEDDING, "conversation_id"), "couple | supplier:viewer", "couple & sender | supplier:member & sender",
        inserted=("wedding_id", "conversation_id", "sender_id", "body"), service="select insert delete",
    ),
    "notifications": Table((PROFILE,), "self", update="self", delete="self", updated=("read_at",)),
    "files": Table(
        (ORGANIZATION,), "org:viewer", "org:member", "org:member", "org:admin",
        updated=("client_id", "wedding_id", "name"),
    ),
    # what people agreed to and asked for
    "consents": Table(
        (PROFILE,), "self", "self", inserted=("profile_id", "purpose", "granted", "policy_version", "source"),
        service="select insert",
    ),
    "data_requests": Table(
        (ORGANIZATION,), "org:admin", "org:admin", service=KEPT,
        inserted=("organization_id", "subject_email", "kind", "reason", "requested_by"),
    ),
    # what happened: its partitions are internal
    "audit.log": Table((ORGANIZATION,), "org:admin", service="select"),
}  # fmt: skip

# everything else in these schemas is nobody's, but what the server side reads to explain itself
INTERNAL = {"app": "", "audit": "", "ops": "select"}


def qualified(table: str) -> str:
    """The table's name with its schema."""
    return table if "." in table else f"public.{table}"
