"""The shape of generated rows: which columns of which table, in the order foreign keys ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

Row = tuple[object, ...]
Rows = Mapping[str, list[Row]]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "organizations": ("id", "name", "slug", "category", "time_zone", "status", "created_at", "updated_at"),
    "profiles": ("id", "email", "display_name", "created_at", "updated_at"),
    "memberships": ("id", "organization_id", "profile_id", "role", "status", "created_at", "updated_at"),
    "invitations": ("id", "organization_id", "email", "role", "token_hash", "invited_by", "expires_at", "created_at"),
    "api_keys": ("id", "organization_id", "name", "prefix", "secret_hash", "scopes", "created_by", "created_at"),
    "weddings": ("id", "title", "wedding_date", "time_zone", "venue_name", "guest_estimate", "status", "created_at",
                 "updated_at"),
    "wedding_people": ("id", "wedding_id", "profile_id", "role", "given_name", "family_name", "email", "created_at",
                       "updated_at"),
    "wedding_vendors": ("id", "wedding_id", "organization_id", "category", "status", "scopes", "contact_email",
                        "invited_at", "responded_at", "updated_at"),
    "wedding_events": ("id", "wedding_id", "kind", "name", "place", "starts_at", "ends_at", "created_at", "updated_at"),
    "timeline_items": ("id", "wedding_id", "event_id", "vendor_id", "title", "notes", "starts_at", "ends_at", "done_at",
                       "created_at", "updated_at"),
}  # fmt: skip


def collect(rows: Iterable[tuple[str, Row]]) -> Rows:
    """Sort rows by their table, keeping their order within it."""
    tables: defaultdict[str, list[Row]] = defaultdict(list)
    for table, row in rows:
        tables[table].append(row)
    return tables
