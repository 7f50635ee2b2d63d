"""The generator's rows: complete, consistent, and the same on every machine."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wedsync_db.errors import UsageError
from wedsync_db.seed.chance import between, dice, happens, key, pick, poisson, weighted
from wedsync_db.seed.everything import Plan
from wedsync_db.seed.guests import _total
from wedsync_db.seed.rows import COLUMNS, MODULES, PUBLISHED, collect
from wedsync_db.seed.sizes import SIZES, Size
from wedsync_db.seed.suppliers import EPOCH, supplier
from wedsync_db.seed.wedding import diary
from wedsync_db.seed.words import CITIES

SEED, SIZE = 7, Size(16, 0.5)

# of each table of seed 7 with 4 suppliers and a tenth of their weddings, written down once
DIGESTS = {
    "api_keys": "eefa2120f528",
    "bookings": "b75e8b877a06",
    "client_notes": "f9cc8a2f0cfa",
    "clients": "d659ddd2b650",
    "consents": "00ca67f7b8e1",
    "contracts": "6c175526fd92",
    "conversations": "7d78866308f0",
    "data_requests": "2bee77be1a26",
    "files": "2f371fad6781",
    "form_drafts": "cb8cf5a7b839",
    "form_submissions": "d16012272a5b",
    "form_versions": "13ea9cb06dab",
    "forms": "32bc75f2ca7b",
    "forms published": "a7ec5c2cd2b7",
    "guests": "1caf8a60e1ff",
    "households": "ced5dfcddfc4",
    "invitations": "0e8051a720e0",
    "invoice_lines": "10883c09ab27",
    "invoices": "99c8616f1955",
    "memberships": "e7f890e2cb2c",
    "messages": "44d9a64411db",
    "notifications": "ce63aed6fe6f",
    "organizations": "53dd65ecdbd8",
    "packages": "a300ae1c9c9b",
    "payments": "ab99c864e196",
    "profiles": "444f8d92cfc4",
    "resources": "b4cd82c611f7",
    "rsvps": "4a8709227c36",
    "seat_assignments": "bf3127396b47",
    "seating_tables": "2e7e94b27f25",
    "stripe_events": "426fdbc89815",
    "subscriptions": "f6c7ba67dbb8",
    "tasks": "518b2ecb49d5",
    "timeline_items": "8924cd115240",
    "wedding_events": "b72b10d677be",
    "wedding_people": "d558f0d7cbc7",
    "wedding_vendors": "c1dd3286a485",
    "weddings": "5c07132a64ef",
}


def _all(seed=SEED, size=SIZE, modules=MODULES):
    return collect(row for _, piece in Plan(seed, size, modules).pieces() for row in piece)


ROWS = _all()


def _rows(table):
    return [dict(zip(COLUMNS[table], row, strict=True)) for row in ROWS[table]]


def _by_id(table):
    return {row["id"]: row for row in _rows(table)}


def _column(table, column):
    place = COLUMNS[table].index(column)
    return [row[place] for row in ROWS[table]]


def test_written_down_once():
    tiny = _all(size=Size(4, 0.1))
    found = {table: sha256(repr(rows).encode()).hexdigest()[:12] for table, rows in tiny.items()}
    assert found == DIGESTS


@pytest.mark.parametrize("table", COLUMNS)
def test_rows_have_their_tables_columns_and_keys_are_unique(table):
    assert ROWS[table]
    assert {len(row) for row in ROWS[table]} == {len(COLUMNS[table])}
    keys = _column(table, "id")
    assert len(set(keys)) == len(keys)
    assert all(len(k) == 32 and k[12] == "7" and k[16] in "89ab" for k in keys)


def test_what_is_made_for_one_migration_does_not_depend_on_the_others():
    few = _all(modules=["0003_tenancy", "0004_weddings"])
    assert few.keys() == MODULES["0003_tenancy"].keys() | MODULES["0004_weddings"].keys()
    assert all(rows == ROWS[table] for table, rows in few.items())


def test_another_seed_gives_other_rows():
    assert supplier(SEED, 0) != supplier(SEED + 1, 0)
    other = {one.id for number in range(3) for one in diary(supplier(SEED + 1, number), 12)}
    assert set(_column("weddings", "id")).isdisjoint(other)


def test_a_smaller_share_is_the_beginning_of_a_larger_one():
    made = supplier(SEED, 3)
    whole, part = list(diary(made, 12)), list(diary(made, 12, 0.3))
    assert part == whole[: len(part)]
    assert 0 < len(part) < len(whole)


@pytest.mark.parametrize(("organizations", "share"), [(0, 1.0), (-1, 1.0), (3, 0.0), (3, 1.1)])
def test_a_size_that_gives_nothing_is_refused(organizations, share):
    with pytest.raises(UsageError):
        Size(organizations, share)


def test_sizes_grow():
    assert list(SIZES) == ["small", "demo", "medium", "large"]
    assert all(one.organizations < next_one.organizations for one, next_one in pairwise(SIZES.values()))


# -- time and place ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("table", COLUMNS)
def test_nothing_happened_after_today(table):
    ahead = {"starts_at", "ends_at", "expires_at", "due_at", "hold_expires_at", "current_period_end"}
    for place, column in enumerate(COLUMNS[table]):
        if column not in ahead:
            assert all(row[place] <= EPOCH for row in ROWS[table] if isinstance(row[place], datetime)), column


def test_the_day_is_the_one_at_the_place():
    ceremonies = {row["wedding_id"]: row["starts_at"] for row in _rows("wedding_events") if row["kind"] == "ceremony"}
    ahead = {city.zone: timedelta(hours=city.ahead) for city in CITIES}
    found = [(row, (ceremonies[row["id"]] + ahead[row["time_zone"]]).date()) for row in _rows("weddings")]
    assert all(row["wedding_date"] == there for row, there in found)
    assert any(row["wedding_date"] != ceremonies[row["id"]].date() for row, _ in found)
    saturdays = sum(there.weekday() == 5 for _, there in found)
    assert 0.4 < saturdays / len(found) < 0.7


def test_names_are_of_several_words_have_apostrophes_and_letters_beyond_ascii():
    for table, column in (("wedding_people", "given_name"), ("guests", "family_name"), ("clients", "name")):
        assert any(" " in name for name in _column(table, column))
    assert any("'" in name for name in _column("guests", "family_name"))
    assert any(not name.isascii() for name in _column("contracts", "signed_name") if name)


# -- guests ------------------------------------------------------------------------------------------------------------
def test_lists_are_as_long_as_in_reality():
    lists = [
        _total(one, one.dice("guests")) for number in range(120) for one in diary(supplier(SEED, number), 120, 0.5)
    ]
    assert 80 < sorted(lists)[len(lists) // 2] < 90
    assert min(lists) >= 10
    assert max(lists) <= 900
    assert 0.005 < sum(guests >= 500 for guests in lists) / len(lists) < 0.02


def test_one_and_a_half_answers_a_guest():
    assert 1.4 < len(ROWS["rsvps"]) / len(ROWS["guests"]) < 1.6


def test_seats_are_those_of_who_comes_and_no_table_is_overfull():
    coming = {row["guest_id"] for row in _rows("rsvps") if row["answer"] == "yes"}
    tables, seats = _by_id("seating_tables"), _rows("seat_assignments")
    assert {row["guest_id"] for row in seats} <= coming
    for table, taken in Counter(row["table_id"] for row in seats).items():
        assert taken <= tables[table]["capacity"]
    assert all(row["seat"] <= tables[row["table_id"]]["capacity"] for row in seats)
    assert {tables[row["table_id"]]["event_id"] for row in seats} == {row["event_id"] for row in seats}


# -- suppliers ---------------------------------------------------------------------------------------------------------
def test_nobody_is_at_two_weddings_at_once():
    days = defaultdict(list)
    for row in _rows("bookings"):
        if row["status"] != "cancelled":
            days[row["resource_id"]].append(row["during"].strip("[)").split(","))
    assert any(len(taken) > 5 for taken in days.values())
    assert all(end <= start for taken in days.values() for (_, end), (start, _) in pairwise(sorted(taken)))
    assert len({row["resource_id"] for row in _rows("bookings")}) > SIZE.organizations  # some are busy on one day twice


def test_drafts_are_of_open_forms_and_answers_of_published_versions():
    published = {form: (status, version) for form, status, version in ROWS[PUBLISHED]}
    assert all(published[row["form_id"]][0] == "published" for row in _rows("form_drafts"))
    assert all(published[row["form_id"]][1] == row["version_id"] for row in _rows("form_submissions"))
    assert set(published) < set(_column("forms", "id"))


def test_a_signature_has_a_name_and_a_day():
    signed = [row for row in _rows("contracts") if row["status"] == "signed"]
    assert signed
    assert all(row["signed_name"] and row["sent_at"] < row["signed_at"] for row in signed)


def test_who_writes_takes_part():
    partners = {(row["wedding_id"], row["profile_id"]) for row in _rows("wedding_people") if row["role"] == "partner"}
    working = defaultdict(set)
    for row in _rows("wedding_vendors"):
        if row["status"] == "accepted":
            working[row["wedding_id"]].add(row["organization_id"])
    writers = defaultdict(set)
    for row in _rows("memberships"):
        if row["status"] == "active" and row["role"] != "viewer":
            writers[row["organization_id"]].add(row["profile_id"])
    talks = _by_id("conversations")
    suppliers = 0
    for row in _rows("messages"):
        talk = talks[row["conversation_id"]]
        assert talk["created_at"] <= row["sent_at"]
        if (row["wedding_id"], row["sender_id"]) not in partners:
            among = {talk["organization_id"]} if talk["organization_id"] else working[row["wedding_id"]]
            assert among <= working[row["wedding_id"]]
            assert any(row["sender_id"] in writers[organization] for organization in among)
            suppliers += 1
    assert 0 < suppliers < len(ROWS["messages"])


# -- money -------------------------------------------------------------------------------------------------------------
def test_an_invoice_is_the_sum_of_its_lines_once_it_is_issued():
    net, tax = Counter(), Counter()
    for row in _rows("invoice_lines"):
        amount = row["quantity"] * row["unit_minor"]
        net[row["invoice_id"]] += amount
        tax[row["invoice_id"]] += (amount * row["tax_basis_points"] * 2 + 10_000) // 20_000  # half up
    for row in _rows("invoices"):
        issued = (net[row["id"]], tax[row["id"]]) if row["status"] != "draft" else (0, 0)
        assert (row["net_minor"], row["tax_minor"]) == issued
        assert row["total_minor"] == sum(issued)
        assert (row["issued_at"] is None) == (row["status"] == "draft")


def test_an_invoice_is_paid_by_one_payment_of_its_total():
    taken, tried = Counter(), defaultdict(list)
    invoices = _by_id("invoices")
    for row in _rows("payments"):
        invoice = invoices[row["invoice_id"]]
        assert (row["amount_minor"], row["currency"]) == (invoice["total_minor"], invoice["currency"])
        tried[row["invoice_id"]].append(row["status"])
        if row["status"] in ("succeeded", "refunded", "disputed"):
            taken[row["invoice_id"]] += row["amount_minor"]
    for identity, row in invoices.items():
        assert row["paid_minor"] == taken[identity] == (row["total_minor"] if row["status"] == "paid" else 0)
        assert sum(status != "cancelled" for status in tried[identity]) <= 1
    assert set(_column("invoices", "status")) == {"draft", "issued", "paid", "void"}
    assert {"pending", "succeeded", "refunded", "cancelled"} <= set(_column("payments", "status"))


def test_what_was_paid_back_is_on_the_payment():
    back = Counter()
    for row in _rows("refunds"):
        back[row["payment_id"]] += row["amount_minor"]
    for row in _rows("payments"):
        assert row["refunded_minor"] == back[row["id"]]
        assert (row["status"] == "refunded") == (row["refunded_minor"] == row["amount_minor"])


@pytest.mark.parametrize(
    ("table", "column", "parent"),
    [
        ("memberships", "profile_id", "profiles"),
        ("wedding_people", "profile_id", "profiles"),
        ("wedding_vendors", "organization_id", "organizations"),
        ("timeline_items", "vendor_id", "wedding_vendors"),
        ("guests", "plus_one_of", "guests"),
        ("payments", "invoice_id", "invoices"),
        ("messages", "sender_id", "profiles"),
        ("consents", "profile_id", "profiles"),
    ],
)
def test_references_point_at_rows(table, column, parent):
    """The database tests all of them; these fail faster."""
    found = set(_column(table, column)) - {None}
    assert found
    assert found <= set(_column(parent, "id"))


# -- chance ------------------------------------------------------------------------------------------------------------
@given(st.integers(), st.integers(-50, 50), st.integers(0, 50))
def test_between_includes_both_ends(seed, low, width):
    chance = dice(seed, "x")
    assert all(low <= between(chance, low, low + width) <= low + width for _ in range(20))


@given(st.integers())
def test_between_reaches_both_ends(seed):
    chance = dice(seed)
    assert {between(chance, 0, 1) for _ in range(60)} == {0, 1}


@given(st.integers(), st.lists(st.integers(), min_size=1))
def test_pick_and_weighted_choose_what_is_there(seed, options):
    chance = dice(seed)
    assert pick(chance, options) in options
    assert weighted(chance, [(o, 1 / len(options)) for o in options]) in options


def test_what_rounding_leaves_over_goes_to_the_last():
    assert {weighted(dice(n), [("a", 0.0), ("b", 0.0)]) for n in range(5)} == {"b"}


@settings(max_examples=20)
@given(st.integers())
def test_poisson_has_its_mean(seed):
    chance = dice(seed)
    assert 1.5 < sum(poisson(chance, 2.0) for _ in range(2000)) / 2000 < 2.5


def test_a_share_is_kept():
    chance = dice(1)
    assert 150 < sum(happens(chance, 0.2) for _ in range(1000)) < 250


def test_known_answers():
    """The same on every machine: these were written down once."""
    assert dice(1, "a", 2).random() == 0.6758495858045195
    assert key(1, EPOCH, "a", 2) == "019e807aec00745ea03da8709dd02689"
