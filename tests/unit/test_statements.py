"""What statements grew by between two looks, and what of their texts may be kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wedsync_db.monitor.statements import OTHERS, Statements, growth, shown

NOW = datetime(2026, 6, 7, 3, 0, tzinfo=UTC)


def counted(calls, seconds):
    return (float(calls), float(seconds), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def look(minutes, by_statement, epoch="e", evictions=0):
    return Statements(NOW + timedelta(minutes=minutes), epoch, evictions, by_statement)


def test_what_each_grew_by_and_those_that_did_nothing_left_out():
    before = look(0, {1: counted(10, 5), 2: counted(3, 3), 3: counted(1, 1)})
    after = look(5, {1: counted(12, 6), 2: counted(3, 3), 4: counted(7, 2)}, evictions=1)
    found = growth(before, after)
    assert (found.at, found.seconds, found.evicted) == (after.at, 300, 1)
    assert list(found.by_statement.items()) == [(4, counted(7, 2)), (1, counted(2, 1))], "the longest first"


def test_the_longest_by_themselves_and_the_others_as_one_with_those_that_are_not_shown():
    after = look(5, {**{n: counted(1, n) for n in range(1, 8)}, OTHERS: counted(5, 100)})
    found = growth(look(0, {}), after, most=3)
    assert list(found.by_statement) == [7, 6, 5, OTHERS]
    assert found.by_statement[OTHERS] == counted(4 + 5, 1 + 2 + 3 + 4 + 100)


def test_a_statement_whose_counter_fell_is_left_out():
    assert growth(look(0, {1: counted(10, 5)}), look(5, {1: counted(2, 6)})).by_statement == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (look(0, {1: counted(1, 1)}), look(5, {1: counted(2, 2)}, epoch="other")),
        (look(5, {1: counted(1, 1)}), look(5, {1: counted(2, 2)})),
        (look(0, None), look(5, {1: counted(2, 2)})),
        (look(0, {1: counted(1, 1)}), look(5, None)),
    ],
)
def test_nothing_is_subtracted_across_epochs_or_from_what_is_unknown(before, after):
    assert growth(before, after) is None


@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("select $1, b from t where c = $2", "select $1, b from t where c = $2"),
        ("alter role r password 'it''s me'", "alter role r password '…'"),
        (r"alter role r password E'it\'s me' valid until 'x'", "alter role r password '…' valid until '…'"),
        (r"comment on table t is 'C:\'; select 'secret'", "comment on table t is '…'; select '…'"),
        ("""select "it's", 'secret'""", """select "it's", '…'"""),
        ("-- it's\nselect 'secret'", "/*…*/\nselect '…'"),
        ("/* it's\n */ select 'secret'", "/*…*/ select '…'"),
        ("do $body$ 'x' $y$ $body$ language sql", "do $…$ language sql"),
        ("select 'cut off here", "select '…'"),
        ("select date'2026-01-01', U&'d\\0061'", "select date'…', U&'…'"),
        ("set x = eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.sig", "set x = ***"),
        ("x" * 3000, "x" * 2000),
    ],
)
def test_what_stands_in_quotes_is_not_kept(statement, kept):
    assert shown(statement).replace("password ***", "password '…'") == kept
