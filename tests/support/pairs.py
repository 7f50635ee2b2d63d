"""A row of every table for each of two suppliers and two weddings: whoever has row 1 has a neighbour with row 2.

Row 1 is open to changes. The neighbour's are in the states that a refusal might tell: published, signed, issued, and
about to marry.
A key is the MD5 of its table and number, so that a test and the database compute the same one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from uuid import UUID

import psycopg

from tests.support.schema import MIGRATIONS, acting_as, deploy, owned_database
from wedsync_db.postgres.cluster import Cluster
from wedsync_db.postgres.session import session


def key(table: str, n: int) -> str:
    """The key of a table's row n."""
    return str(UUID(md5(f"{table}{n}".encode(), usedforsecurity=False).hexdigest()))


# profiles: 1 and 2 own the suppliers, 11 and 12 marry, 21 has nothing to do with any of them
OWNER, OWNER_2, COUPLE, COUPLE_2, STRANGER = (key("profiles", n) for n in (1, 2, 11, 12, 21))

# `:guests` is the key of row n of guests
_ROWS = """
insert into organizations (id, name, slug, category, time_zone)
  select :organizations, 'Supplier ' || n, 'supplier-' || n, 'venue', 'Europe/London' from n;
insert into profiles (id, email, display_name)
  select :profiles, 'person' || n || '@example.com', 'Person ' || n from unnest(array[1, 2, 11, 12, 21]) as n;
insert into memberships (id, organization_id, profile_id, role)
  select :memberships, :organizations, :profiles, 'owner' from n;
insert into invitations (id, organization_id, email, role, token_hash, invited_by, expires_at)
  select :invitations, :organizations, 'new@example.com', 'viewer', sha256(n::text::bytea), :memberships, '2100-01-01'
  from n;
insert into api_keys (id, organization_id, name, prefix, secret_hash, created_by)
  select :api_keys, :organizations, 'key', 'abcd1234', sha256(n::text::bytea), :memberships from n;
insert into weddings (id, title, wedding_date, time_zone)
  select :weddings, 'Wedding ' || n, case n when 1 then '2099-06-12' else current_date end, 'Europe/London' from n;
insert into wedding_people (id, wedding_id, profile_id, role, given_name)
  select :wedding_people, :weddings, md5('profiles' || 10 + n)::uuid, 'partner', 'Ann' from n;
insert into wedding_vendors (id, wedding_id, organization_id, category, status, scopes, responded_at)
  select :wedding_vendors, :weddings, :organizations, 'venue', 'accepted',
         '{overview,people,timeline,timeline_edit,guests}', now() from n;
insert into wedding_events (id, wedding_id, kind, name, starts_at, ends_at)
  select :wedding_events, :weddings, 'ceremony', 'Ceremony', '2099-06-12 12:00Z', '2099-06-12 13:00Z' from n;
insert into timeline_items (id, wedding_id, event_id, vendor_id, title, starts_at, ends_at)
  select :timeline_items, :weddings, :wedding_events, :wedding_vendors, 'Vows', '2099-06-12 12:00Z', '2099-06-12 12:10Z'
  from n;
insert into clients (id, organization_id, wedding_id, name, email, assigned_to)
  select :clients, :organizations, :weddings, 'Client ' || n, 'client@example.com', :memberships from n;
insert into client_notes (id, organization_id, client_id, author_id, body)
  select :client_notes, :organizations, :clients, :memberships, 'secret of ' || n from n;
insert into tasks (id, organization_id, client_id, assigned_to, title)
  select :tasks, :organizations, :clients, :memberships, 'Call' from n;
insert into households (id, wedding_id, name, email)
  select :households, :weddings, 'Household', 'home@example.com' from n;
insert into guests (id, wedding_id, household_id, given_name, family_name)
  select :guests, :weddings, :households, 'Guest', 'Of' || n from n;
insert into guests (id, wedding_id, plus_one_of, given_name)
  select md5('plus' || n)::uuid, :weddings, :guests, 'Plus' from n;
insert into rsvps (id, wedding_id, guest_id, event_id) select :rsvps, :weddings, :guests, :wedding_events from n;
insert into seating_tables (id, wedding_id, event_id, name, capacity)
  select :seating_tables, :weddings, :wedding_events, 'Table', 8 from n;
insert into seat_assignments (id, wedding_id, event_id, table_id, guest_id, seat)
  select :seat_assignments, :weddings, :wedding_events, :seating_tables, :guests, 1 from n;
insert into forms (id, organization_id, title, slug) select :forms, :organizations, 'Form', 'form-' || n from n;
insert into form_versions (id, organization_id, form_id, version, definition, created_by)
  select :form_versions, :organizations, :forms, 1, '{"questions": []}', :memberships from n;
update forms set published_version_id = v.id from form_versions as v where v.form_id = forms.id;
insert into form_drafts (id, organization_id, form_id, client_id)
  select :form_drafts, :organizations, :forms, :clients from n;
insert into form_submissions (id, organization_id, form_id, version_id, client_id, answers)
  select :form_submissions, :organizations, :forms, :form_versions, :clients, '{"colour": "blue"}' from n;
insert into packages (id, organization_id, name, price_minor, currency)
  select :packages, :organizations, 'Package', 100000, 'GBP' from n;
insert into resources (id, organization_id, name, kind) select :resources, :organizations, 'Hall', 'room' from n;
insert into bookings (id, organization_id, resource_id, client_id, package_id, wedding_id, during)
  select :bookings, :organizations, :resources, :clients, :packages, :weddings, '[2099-06-12 10:00Z, 2099-06-12 20:00Z)'
  from n;
insert into contracts (id, organization_id, client_id, package_id, wedding_id, title, total_minor, currency)
  select :contracts, :organizations, :clients, :packages, :weddings, 'Contract', 100000, 'GBP' from n where n = 1;
insert into contracts
    (id, organization_id, client_id, wedding_id, title, total_minor, currency, status, signed_at, signed_name)
  select :contracts, :organizations, :clients, :weddings, 'Contract', 100000, 'GBP', 'signed', now(), 'Client 2'
  from n where n = 2;
insert into subscriptions (id, organization_id, plan, status, price_minor, currency)
  select :subscriptions, :organizations, 'pro', 'active', 4900, 'GBP' from n;
insert into invoices (id, organization_id, client_id, contract_id, number, currency)
  select :invoices, :organizations, :clients, :contracts, '1', 'GBP' from n;
insert into invoice_lines (id, organization_id, invoice_id, position, description, unit_minor)
  select :invoice_lines, :organizations, :invoices, 1, 'Package', 100000 from n;
insert into payments (id, organization_id, invoice_id, provider_payment_id, amount_minor, currency)
  select :payments, :organizations, :invoices, 'pi_' || n, 100000, 'GBP' from n;
insert into refunds (id, organization_id, payment_id, provider_refund_id, amount_minor, currency)
  select :refunds, :organizations, :payments, 're_' || n, 100000, 'GBP' from n;
insert into consents (id, profile_id, purpose, granted, policy_version) select :consents, :profiles, 'terms', true, '1'
  from n;
insert into data_requests (id, organization_id, subject_email, kind, requested_by)
  select :data_requests, :organizations, 'client@example.com', 'export', :memberships from n;
insert into conversations (id, wedding_id, organization_id, subject)
  select :conversations, :weddings, :organizations, 'Menu' from n;
insert into messages (id, wedding_id, conversation_id, sender_id, body)
  select :messages, :weddings, :conversations, :profiles, 'Hello' from n;
insert into notifications (id, profile_id, organization_id, wedding_id, kind, title)
  select :notifications, :profiles, :organizations, :weddings, 'system', 'Welcome' from n;
insert into files
    (id, organization_id, client_id, wedding_id, uploaded_by, name, storage_path, content_type, size_bytes)
  select :files, :organizations, :clients, :weddings, :memberships, 'a.pdf', 'a.pdf', 'text/plain', 1 from n;
update forms set status = 'published' where slug = 'form-2';
update invoices set status = 'issued' where id = md5('invoices2')::uuid;
"""
_KEYS = re.sub(r"(?<!:):([a-z_]+)", r"md5('\1' || n)::uuid", _ROWS)
ROWS = re.sub(r"\bfrom n\b", "from generate_series(1, 2) as n", _KEYS)


def as_user(connection: psycopg.Connection, user: str | None, query: str, role: str = "authenticated") -> list[tuple]:
    """The rows this user gets by the query; what it changes is taken back."""
    with acting_as(connection, user, role):
        return connection.execute(query).fetchall()


@contextmanager
def pairs(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """A deployed database with both rows of every table, in a session of its ordinary owner."""
    with owned_database(cluster) as address, session(address, "test") as connection:
        deploy(connection, *MIGRATIONS)
        connection.execute(ROWS)
        yield connection
