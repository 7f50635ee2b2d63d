"""Definitions come out as a restore would print them, and what is settled stays as it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.postgres.settled import settled, settled_object

TEXTS = st.sampled_from(["a", "b", "'x'", "'''(( OR '", '"odd ]("', "f(a, b)", "x.c", "NOT a"])
EXPRESSIONS = st.recursive(
    TEXTS.map(lambda text: f"({text} = 1)"),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from([" AND ", " OR "]), st.lists(inner, min_size=2, max_size=4)).map(
            lambda both: f"({both[0].join(both[1])})"
        ),
        inner.map(lambda one: f"(NOT {one})"),
        st.lists(TEXTS, min_size=1, max_size=3).map(lambda all_: f"(c = ANY ((ARRAY[{', '.join(all_)}])::text[]))"),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("(((a > 1) AND (a < 3)) AND (b = 2))", "((a > 1) AND (a < 3) AND (b = 2))"),
        ("((((a) OR (b)) OR (c)) OR (d))", "((a) OR (b) OR (c) OR (d))"),
        ("((a) AND ((b) AND (c)))", "((a) AND ((b) AND (c)))"),  # a restore leaves the right end alone
        ("(((a) OR (b)) AND (c))", "(((a) OR (b)) AND (c))"),
        ("(c = ANY ((ARRAY['a'::v, 'b, ('::v])::text[]))", "(c = ANY (ARRAY[('a'::v)::text, ('b, ('::v)::text]))"),
        ("((ARRAY[1, f(2, 3)])::double precision[])", "(ARRAY[(1)::double precision, (f(2, 3))::double precision])"),
        ("(('((a) AND (b)) AND ' || x) AND (c))", "(('((a) AND (b)) AND ' || x) AND (c))"),
        ("not closed (((a) AND (b)) AND (c)", "not closed (((a) AND (b)) AND (c)"),
        ("closed twice (((a) AND (b)) AND (c)))", "closed twice (((a) AND (b)) AND (c)))"),
        ("'never closed (((a) AND (b)) AND (c))", "'never closed (((a) AND (b)) AND (c))"),
    ],
)
def test_definitions_settle(before, after):
    assert settled(before) == after


@given(EXPRESSIONS)
def test_what_is_settled_stays_and_keeps_its_operands(expression):
    once = settled(expression)
    assert settled(once) == once
    for operand in (" = 1", " AND ", " OR ", "NOT ", "ANY"):
        assert once.count(operand) == expression.count(operand)


def test_an_object_keeps_its_keys_and_what_needs_nothing():
    plain = json.dumps({"b": "((a) AND (b))", "a": ["é"]}, ensure_ascii=False)
    assert settled_object(plain) is plain
    changed = settled_object(json.dumps({"b": ["(((a) AND (b)) AND (c))"], "a": 1}))
    assert changed == '{"b": ["((a) AND (b) AND (c))"], "a": 1}'
