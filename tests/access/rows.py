"""The rows of the matrix: what lies in each table for each tenant, and what somebody tries to add."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from tests.access.catalogue import ORGANIZATION, TABLES, WEDDING
from tests.access.world import MEMBERS, ORGANIZATIONS, PEOPLE, PERSONS, SUSPENDED, VENDORS, WEDDINGS, key

Value = str | int | bool | None
_DAY = "2099-06-12"  # far enough that no guard of a wedding's last days is awake
_HOURS = {"starts_at": f"{_DAY} 12:00Z", "ends_at": f"{_DAY} 13:00Z"}
_PRICE = {"currency": "GBP"}

# `@table` is the id of the tenant's row in that table, `@table:tag` of another of its rows; `#` is the row's own mark
SAMPLES: dict[str, dict[str, Value]] = {
    "organizations": {"name": "Org", "slug": "org-#", "category": "venue", "time_zone": "UTC", "status": "active"},
    "profiles": {"email": "#@example.com", "display_name": "Somebody"},
    "memberships": {"profile_id": "@profiles:outsider", "role": "viewer", "status": "active"},
    "invitations": {
        "email": "x#@example.com", "role": "viewer", "token_hash": "%invitations#", "expires_at": "2099-01-01",
    },
    "api_keys": {"name": "Key", "prefix": "abcd1234", "secret_hash": "%api_keys#"},
    "weddings": {"title": "Wedding", "wedding_date": _DAY, "time_zone": "Europe/London"},
    "wedding_people": {"role": "attendant", "given_name": "Zoe"},
    "wedding_vendors": {"organization_id": "@organizations:G", "category": "cake"},
    "wedding_events": {"kind": "ceremony", "name": "Ceremony", **_HOURS},
    "timeline_items": {"event_id": "@wedding_events", "title": "Cake", **_HOURS},
    "clients": {"name": "Client"},
    "client_notes": {"client_id": "@clients", "body": "Note"},
    "tasks": {"client_id": "@clients", "title": "Task"},
    "households": {"name": "Household"},
    "guests": {"given_name": "Guest", "household_id": "@households"},
    "rsvps": {"guest_id": "@guests", "event_id": "@wedding_events"},
    "seating_tables": {"event_id": "@wedding_events", "name": "Table #", "capacity": 8},
    "seat_assignments": {
        "event_id": "@wedding_events", "table_id": "@seating_tables", "guest_id": "@guests",
    },
    "forms": {"title": "Form", "slug": "form-#", "status": "draft"},
    "form_versions": {"form_id": "@forms", "version": 3, "definition": "{}", "published": False},
    "form_drafts": {"form_id": "@forms", "client_id": "@clients", "answers": "{}"},
    "form_submissions": {"form_id": "@forms", "version_id": "@form_versions", "answers": "{}"},
    "packages": {"name": "Package", "price_minor": 100, **_PRICE},
    "resources": {"name": "Room", "kind": "room"},
    "bookings": {"resource_id": "@resources", "client_id": "@clients", "during": "[2099-01-01,2099-01-02)"},
    "contracts": {"client_id": "@clients", "title": "Contract", "total_minor": 100, "status": "draft", **_PRICE},
    "subscriptions": {"plan": "pro", "status": "active", "price_minor": 100, **_PRICE},
    "invoices": {"client_id": "@clients", "contract_id": "@contracts", "number": "N-#", **_PRICE},
    "invoice_lines": {"invoice_id": "@invoices", "position": 3, "description": "Cake", "unit_minor": 100},
    "payments": {
        "invoice_id": "@invoices", "provider_payment_id": "pay #", "status": "pending", "amount_minor": 100, **_PRICE,
    },
    "refunds": {
        "payment_id": "@payments", "provider_refund_id": "refund #", "status": "pending", "amount_minor": 1, **_PRICE,
    },
    "stripe_events": {"event_id": "event #", "type": "x", "payload": "{}", "signature_ok": True},
    "conversations": {"organization_id": None, "subject": "Subject"},
    "messages": {"conversation_id": "@conversations", "sender_id": None, "body": "Hello"},
    "notifications": {"kind": "system", "title": "Title"},
    "files": {
        "name": "File", "storage_path": "/#", "content_type": "text/plain", "size_bytes": 1, "client_id": "@clients",
    },
    "consents": {"purpose": "terms", "granted": True, "policy_version": "1", "source": "web"},
    "data_requests": {"subject_email": "#@example.com", "kind": "export"},
    "audit.log": {
        "happened_at": _DAY, "db_role": "postgres", "relation": "public.clients", "operation": "UPDATE",
        "row_key": "@clients", "changes": "{}",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row with the ids it is stored with, and who stands behind them."""

    table: str
    tenant: str
    tag: str
    values: Mapping[str, Value] = field(hash=False)
    organization: str | None = None
    wedding: str = ""
    profile: str | None = None
    sender: str | None = None

    @property
    def id(self) -> str:
        """Its key; the same in every run."""
        return str(self.values["id"])

    def __str__(self) -> str:
        """For people: `clients A`, `forms A draft`."""
        return " ".join([self.table, self.tenant] + ([self.tag] if self.tag != "1" else []))


def axis(table: str) -> tuple[str, ...]:
    """The kind of tenant the table belongs to: organizations, weddings, or people."""
    first = TABLES[table].tenant[0]
    if first == WEDDING or table == "weddings":
        return WEDDINGS
    return ORGANIZATIONS if first == ORGANIZATION or table == "organizations" else PERSONS


def make(table: str, tenant: str, tag: str = "1", **given: Value) -> Row:
    """A row of this tenant; `given` names organizations and people by their names."""
    own = {"organizations": ORGANIZATION, "weddings": WEDDING, "profiles": "profile_id"}.get(table)
    names = {own or TABLES[table].tenant[0]: tenant, **given}
    sample = SAMPLES[table] | ({} if own else {TABLES[table].tenant[0]: tenant}) | given
    values = {column: _value(column, value, tenant, tag) for column, value in sample.items()}
    organization, profile, sender = (names.get(name) for name in (ORGANIZATION, "profile_id", "sender_id"))
    return Row(
        table, tenant, tag, {"id": key(table, tenant, tag), **values}, wedding=str(names.get(WEDDING, "")),
        organization=str(organization) if organization else None, profile=str(profile) if profile else None,
        sender=str(sender) if sender else None,
    )  # fmt: skip


def _value(column: str, value: Value, tenant: str, tag: str) -> Value:
    """What is stored: names become ids."""
    if not isinstance(value, str):
        return value
    if column in ("organization_id", "wedding_id", "profile_id", "sender_id") and not value.startswith("@"):
        table = {"organization_id": "organizations", "wedding_id": "weddings"}.get(column, "profiles")
        return key(table, value)
    if value.startswith("%"):
        return "\\x" + sha256(f"{value}{tenant}{tag}".encode()).hexdigest()
    if value.startswith("@"):
        table, _, other = value[1:].partition(":")
        return (
            key(table, other) if other and table in ("organizations", "profiles") else key(table, tenant, other or "1")
        )
    return value.replace("#", re.sub(r"[^a-z0-9]", "", f"{tenant}{tag}".lower()))


HOLDERS = ("A", "B", "D", "E")  # the organizations that have rows of their own
_READERS = ("couple_1", "owner_a", "parent_1", "outsider")  # who has notifications, and has agreed to something


def _special() -> Iterator[Row]:
    """The tables where every tenant has several rows, or a row has more than one tenant."""
    for organization, members in MEMBERS.items():
        yield make("organizations", organization, status="closed" if organization == "E" else "active")
        for person, role in members.items():
            status = "suspended" if person == SUSPENDED else "active"
            yield make("memberships", organization, person, profile_id=person, role=role, status=status)
    for person in PERSONS:
        yield make("profiles", person)
    for wedding, people in PEOPLE.items():
        for person, role in people.items():
            yield make("wedding_people", wedding, person, profile_id=person, role=role)
        yield make("conversations", wedding)
        yield make("messages", wedding, sender_id=next(iter(people)))
        for organization, (status, scopes) in VENDORS[wedding].items():
            responded = None if status == "invited" else "2099-01-01"
            yield make(
                "wedding_vendors", wedding, organization, organization_id=organization, status=status,
                scopes="{" + ",".join(scopes.split()) + "}", responded_at=responded,
            )  # fmt: skip
            yield make("conversations", wedding, organization, organization_id=organization)
            yield _message(wedding, organization)
    for person in _READERS:
        yield make("notifications", person)
        yield make("consents", person)


def _message(wedding: str, organization: str | None, tag: str = "", sender: str | None = None) -> Row:
    """A message in the conversation with this organization, or in everybody's."""
    row = make(
        "messages", wedding, tag or organization or "1", sender_id=sender,
        conversation_id=f"@conversations:{organization}" if organization else "@conversations",
    )  # fmt: skip
    return replace(row, organization=organization)


def _log() -> Iterator[Row]:
    """Entries of each organization, of none, and in the partition for what no other takes."""
    for organization in HOLDERS:
        yield make("audit.log", organization)
        yield make("audit.log", organization, "unplanned", happened_at="2098-01-01")
    nobodys = make("audit.log", "nobody", organization_id=None)
    yield replace(nobodys, values={**nobodys.values, "wedding_id": key("weddings", "W1")}, organization=None)


def _several() -> Iterator[Row]:
    """Further states that a rule or a trigger looks at."""
    for organization in HOLDERS:
        version = key("form_versions", organization)
        yield make("forms", organization, status="published", published_version_id=version)
        yield make("forms", organization, "draft")
        yield make("form_versions", organization, version=1, published=True)
        yield make("form_versions", organization, "draft", version=2)
        yield make("bookings", organization, status="cancelled")
        yield make("invoices", organization)
        yield make("invoices", organization, "issued", status="issued", issued_at="2099-01-01")
        yield make("invoice_lines", organization, position=1)
        yield make("invoice_lines", organization, "issued", invoice_id="@invoices:issued", position=1)
        yield make("contracts", organization)
        signed: dict[str, Value] = {"signed_at": "2099-01-01", "signed_name": "Ann"}
        yield make("contracts", organization, "signed", status="signed", **signed)
        yield make("contracts", organization, "void", status="void")
    for wedding in WEDDINGS:
        yield make("guests", wedding)
        yield make("guests", wedding, "spare")


def _all() -> dict[str, tuple[Row, ...]]:
    found: dict[str, list[Row]] = {table: [] for table in TABLES}
    for row in (*_special(), *_log(), *_several()):
        found[row.table].append(row)
    for table in [table for table, those in found.items() if not those]:
        holders = HOLDERS if axis(table) is ORGANIZATIONS else axis(table)
        found[table] = [make(table, tenant) for tenant in holders]
    return {table: tuple(those) for table, those in found.items()}


ROWS = _all()


def tenants(table: str) -> tuple[str, ...]:
    """The tenants that have rows in the table."""
    return tuple(dict.fromkeys(row.tenant for row in ROWS[table]))


def additions(table: str, person: str | None) -> tuple[Row, ...]:
    """What somebody tries to add: a row for each tenant, and where it matters who sends it, for each of these."""
    if table == "messages":
        senders = dict.fromkeys((person, "outsider"))
        return tuple(
            _message(wedding, organization, "new", sender)
            for wedding in WEDDINGS
            for organization in (None, *VENDORS[wedding])
            for sender in senders
        )
    spare: dict[str, Value] = {"guest_id": "@guests:spare"} if table in ("rsvps", "seat_assignments") else {}
    return tuple(make(table, tenant, "new", **spare) for tenant in tenants(table))
