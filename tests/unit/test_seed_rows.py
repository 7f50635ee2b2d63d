"""The generator's rows: complete, consistent, and the same however they are cut into batches."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wedsync_db.seed.chance import between, dice, happens, key, pick, poisson, weighted
from wedsync_db.seed.everything import Plan
from wedsync_db.seed.rows import COLUMNS, MODULES, collect
from wedsync_db.seed.sizes import Size
from wedsync_db.seed.suppliers import EPOCH, supplier
from wedsync_db.seed.wedding import diary
from wedsync_db.seed.words import CITIES

SEED, SIZE = 7, Size(12)


def _all(seed=SEED, size=SIZE, modules=MODULES):
    return collect(row for _, piece in Plan(seed, size, modules).pieces() for row in piece)


ROWS = _all()


def _column(table, column):
    place = COLUMNS[table].index(column)
    return [row[place] for row in ROWS[table]]


@pytest.mark.parametrize("table", COLUMNS)
def test_rows_have_their_tables_columns_and_keys_are_unique(table):
    assert ROWS[table]
    assert {len(row) for row in ROWS[table]} == {len(COLUMNS[table])}
    keys = _column(table, "id")
    assert len(set(keys)) == len(keys)
    assert all(len(k) == 32 and k[12] == "7" and k[16] in "89ab" for k in keys)


@pytest.mark.parametrize(
    ("table", "column", "parent"),
    [
        ("memberships", "organization_id", "organizations"),
        ("memberships", "profile_id", "profiles"),
        ("invitations", "invited_by", "memberships"),
        ("api_keys", "created_by", "memberships"),
        ("wedding_people", "wedding_id", "weddings"),
        ("wedding_people", "profile_id", "profiles"),
        ("wedding_vendors", "organization_id", "organizations"),
        ("wedding_events", "wedding_id", "weddings"),
        ("timeline_items", "event_id", "wedding_events"),
        ("timeline_items", "vendor_id", "wedding_vendors"),
    ],
)
def test_references_point_at_rows(table, column, parent):
    assert set(_column(table, column)) - {None} <= set(_column(parent, "id"))


def test_what_is_made_for_one_migration_does_not_depend_on_the_others():
    few = _all(modules=["0003_tenancy", "0004_weddings"])
    assert few.keys() == MODULES["0003_tenancy"].keys() | MODULES["0004_weddings"].keys()
    assert all(rows == ROWS[table] for table, rows in few.items())


def test_another_seed_gives_other_rows():
    assert supplier(SEED, 0) != supplier(SEED + 1, 0)
    other = {one.id for number in range(3) for one in diary(supplier(SEED + 1, number), 12)}
    assert set(_column("weddings", "id")).isdisjoint(other)


def test_nothing_was_made_after_today():
    for table in COLUMNS:
        stamp = {"wedding_vendors": "invited_at", "form_submissions": "submitted_at"}.get(table, "created_at")
        assert max(_column(table, stamp)) <= EPOCH


def test_the_day_is_the_one_at_the_place():
    ceremonies = {row[1]: row[5] for row in ROWS["wedding_events"] if row[2] == "ceremony"}
    ahead = {city.zone: timedelta(hours=city.ahead) for city in CITIES}
    found = [(row[2], (ceremonies[row[0]] + ahead[row[3]]).date()) for row in ROWS["weddings"]]
    assert all(date == there for date, there in found)
    assert any(date != ceremonies[row[0]].date() for row, (date, _) in zip(ROWS["weddings"], found, strict=True))
    saturdays = sum(date.weekday() == 5 for date, _ in found)
    assert 0.4 < saturdays / len(found) < 0.7


def test_names_do_not_all_split_at_their_first_space():
    assert any(" " in name for name in _column("wedding_people", "given_name"))


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
