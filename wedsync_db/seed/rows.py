"""The shape of generated rows: which columns of which table of which migration, in the order foreign keys ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

Row = tuple[object, ...]
Rows = Mapping[str, list[Row]]
Columns = Mapping[str, tuple[str, ...]]

_CHANGES = ("created_at", "updated_at")
_TENANCY: Columns = {
    "organizations": ("id", "name", "slug", "category", "time_zone", "status", *_CHANGES),
    "profiles": ("id", "email", "display_name", *_CHANGES),
    "memberships": ("id", "organization_id", "profile_id", "role", "status", *_CHANGES),
    "invitations": ("id", "organization_id", "email", "role", "token_hash", "invited_by", "expires_at", "created_at"),
    "api_keys": ("id", "organization_id", "name", "prefix", "secret_hash", "scopes", "created_by", "created_at"),
}
_WEDDINGS: Columns = {
    "weddings": ("id", "title", "wedding_date", "time_zone", "venue_name", "guest_estimate", "status", *_CHANGES),
    "wedding_people": ("id", "wedding_id", "profile_id", "role", "given_name", "family_name", "email", *_CHANGES),
    "wedding_vendors": ("id", "wedding_id", "organization_id", "category", "status", "scopes", "contact_email",
                        "invited_at", "responded_at", "updated_at"),
    "wedding_events": ("id", "wedding_id", "kind", "name", "place", "starts_at", "ends_at", *_CHANGES),
    "timeline_items": ("id", "wedding_id", "event_id", "vendor_id", "title", "notes", "starts_at", "ends_at", "done_at",
                       *_CHANGES),
}  # fmt: skip
_CRM: Columns = {
    "clients": ("id", "organization_id", "wedding_id", "name", "partner_name", "email", "phone", "stage", "source",
                "wedding_date", "budget_minor", "currency", "assigned_to", *_CHANGES),
    "client_notes": ("id", "organization_id", "client_id", "author_id", "body", "pinned", *_CHANGES),
    "tasks": ("id", "organization_id", "client_id", "assigned_to", "title", "priority", "due_at", "done_at", *_CHANGES),
}  # fmt: skip
_GUESTS: Columns = {
    "households": ("id", "wedding_id", "name", "address", "email", *_CHANGES),
    "guests": ("id", "wedding_id", "household_id", "plus_one_of", "given_name", "family_name", "kind", "side", "email",
               "phone", "dietary", "checked_in_at", *_CHANGES),
    "rsvps": ("id", "wedding_id", "guest_id", "event_id", "answer", "meal", "message", "answered_at", *_CHANGES),
    "seating_tables": ("id", "wedding_id", "event_id", "name", "capacity", *_CHANGES),
    "seat_assignments": ("id", "wedding_id", "event_id", "table_id", "guest_id", "seat", *_CHANGES),
}  # fmt: skip
_FORMS: Columns = {
    "forms": ("id", "organization_id", "title", "slug", *_CHANGES),  # as drafts: see PUBLISHED
    "form_versions": ("id", "organization_id", "form_id", "version", "definition", "published", "created_by",
                      "created_at"),
    "form_drafts": ("id", "organization_id", "form_id", "client_id", "answers", "seq", *_CHANGES),
    "form_submissions": ("id", "organization_id", "form_id", "version_id", "client_id", "answers", "submitted_email",
                         "status", "submitted_at", "updated_at"),
}  # fmt: skip
_BOOKING: Columns = {
    "packages": ("id", "organization_id", "name", "description", "price_minor", "currency", "active", *_CHANGES),
    "resources": ("id", "organization_id", "name", "kind", "active", *_CHANGES),
    "bookings": ("id", "organization_id", "resource_id", "client_id", "package_id", "wedding_id", "during", "status",
                 "hold_expires_at", *_CHANGES),
    "contracts": ("id", "organization_id", "client_id", "package_id", "wedding_id", "title", "body", "total_minor",
                  "currency", "status", "sent_at", "signed_at", "signed_name", *_CHANGES),
}  # fmt: skip
_MONEY: Columns = {
    "subscriptions": ("id", "organization_id", "plan", "status", "price_minor", "currency", "provider_customer_id",
                      "provider_subscription_id", "current_period_end", "provider_event_at", *_CHANGES),
    "invoices": ("id", "organization_id", "client_id", "contract_id", "number", "status", "currency", "net_minor",
                 "tax_minor", "total_minor", "paid_minor", "notes", "due_on", "issued_at", *_CHANGES),
    "invoice_lines": ("id", "organization_id", "invoice_id", "position", "description", "quantity", "unit_minor",
                      "tax_basis_points", "created_at"),
    "stripe_events": ("id", "event_id", "type", "payload", "signature_ok", "organization_id", "provider_payment_id",
                      "outcome", "reason", "received_at", "processed_at"),
    "payments": ("id", "organization_id", "invoice_id", "provider_payment_id", "status", "amount_minor",
                 "refunded_minor", "disputes", "currency", "failure_reason", *_CHANGES),
    "refunds": ("id", "organization_id", "payment_id", "provider_refund_id", "status", "amount_minor", "currency",
                "reason", *_CHANGES),
}  # fmt: skip
_COMMUNICATION: Columns = {
    "conversations": ("id", "wedding_id", "organization_id", "subject", "closed_at", *_CHANGES),
    "messages": ("id", "wedding_id", "conversation_id", "sender_id", "body", "sent_at"),
    "notifications": ("id", "profile_id", "organization_id", "wedding_id", "kind", "title", "body", "read_at",
                      "created_at"),
    "files": ("id", "organization_id", "client_id", "wedding_id", "uploaded_by", "name", "storage_path", "content_type",
              "size_bytes", "sha256", *_CHANGES),
}  # fmt: skip
_COMPLIANCE: Columns = {
    "consents": ("id", "profile_id", "purpose", "granted", "policy_version", "source", "recorded_at"),
    "data_requests": ("id", "organization_id", "subject_email", "kind", "status", "reason", "requested_by", "due_at",
                      "completed_at", *_CHANGES),
}  # fmt: skip

MODULES: Mapping[str, Columns] = {
    "0003_tenancy": _TENANCY,
    "0004_weddings": _WEDDINGS,
    "0006_crm": _CRM,
    "0007_guests": _GUESTS,
    "0008_forms": _FORMS,
    "0009_booking": _BOOKING,
    "0010_money": _MONEY,
    "0011_communication": _COMMUNICATION,
    "0012_compliance": _COMPLIANCE,
}
REQUIRED = ("0003_tenancy", "0004_weddings")
COLUMNS: Columns = {table: columns for module in MODULES.values() for table, columns in module.items()}

PUBLISHED = "forms published"
"""No table: form, status and version, set once both are there, since each names the other."""


def collect(rows: Iterable[tuple[str, Row]]) -> Rows:
    """Sort rows by their table, keeping their order within it."""
    tables: defaultdict[str, list[Row]] = defaultdict(list)
    for table, row in rows:
        tables[table].append(row)
    return tables
