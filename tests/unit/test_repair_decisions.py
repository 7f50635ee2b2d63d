"""What a repair does about a table, a row and a value, from the three states alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.repair.compare import Lost, batches, lost
from wedsync_db.repair.decide import Column, Decision, Shape, comparison, decide, in_order

VALUE = st.sampled_from([None, "a", "b", "c"])
ROW = st.tuples(VALUE, VALUE)
BOTH = (0, 1)


@given(before=ROW, after=st.none() | ROW, now=st.none() | ROW)
def test_nothing_newer_is_ever_overwritten_and_nothing_lost_is_passed_over(before, after, now):
    decision = decide(BOTH, before, after, now)
    if now is None:
        assert decision == Decision(insert=after is None, deleted=after is not None)
        return
    for i in BOTH:
        taken = before[i] is not None and (after is None or after[i] != before[i])
        untouched = after is not None and now[i] == after[i]
        assert (i in decision.restore) == (taken and untouched and now[i] != before[i])
        assert (i in decision.conflicts) == (taken and not untouched and now[i] != before[i])


@given(before=ROW, after=st.none() | ROW, now=st.none() | ROW)
def test_what_was_done_is_not_done_again(before, after, now):
    first = decide(BOTH, before, after, now)
    if first.insert:
        now = before
    elif now is not None:
        now = tuple(before[i] if i in first.restore else now[i] for i in BOTH)
    again = decide(BOTH, before, after, now)
    assert not again.insert
    assert not again.restore
    assert again.conflicts == first.conflicts


@given(
    before=st.dictionaries(st.sampled_from("abcdé"), ROW),
    after=st.dictionaries(st.sampled_from("abcdé"), ROW),
)
def test_the_merge_finds_what_a_look_at_everything_finds(before, after):
    def stream(rows):
        return [((key,), values) for key, values in sorted(rows.items())]

    expected = [
        Lost((k,), old, after.get(k))
        for k, old in sorted(before.items())
        if k not in after or any(o is not None and o != n for o, n in zip(old, after[k], strict=True))
    ]
    assert list(lost(stream(before), stream(after), BOTH)) == expected


def shape(key: tuple[str, ...] = ("id",), **columns: str | Column) -> Shape:
    known = {"id": "bigint", **columns}
    return Shape(key, {n: c if isinstance(c, Column) else Column(c, False, False) for n, c in known.items()})


def test_a_table_is_compared_by_what_both_have():
    before = shape(a="text", b="text", c="text", d=Column("text", True, False), updated_at="date")
    now = shape(a="text", c="integer", d="text", updated_at=Column("date", False, True), e="text")
    how = comparison("public.t", before, None, now)
    assert how.columns == ("id", "a", "updated_at")
    assert [how.columns[i] for i in how.judged] == ["a"]
    assert (how.gone, how.changed) == (("b",), ("c",))


@pytest.mark.parametrize(
    ("before", "after", "now", "why"),
    [
        (shape(), shape(), None, "not there any more"),
        (shape(()), shape(()), shape(()), "no primary key"),
        (shape(), shape(), shape(("a",), a="text"), "another one now"),
        (shape(), shape(("a",), a="text"), shape(), "another one now"),
        (shape(), shape(), shape(id="uuid"), "another type now: id"),
    ],
)
def test_what_cannot_be_matched_is_for_a_person(before, after, now, why):
    assert why in comparison("public.t", before, after, now)


def test_tables_come_after_those_they_refer_to_and_rings_by_name():
    references = {("b", "c"), ("a", "b"), ("c", "elsewhere"), ("d", "d"), ("e", "f"), ("f", "e")}
    assert in_order(["f", "e", "d", "c", "b", "a"], references) == ("c", "d", "b", "a", "e", "f")


def test_batches():
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
