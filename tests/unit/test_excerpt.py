"""The line of SQL with a caret under it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.postgres.excerpt import WIDTH, excerpt, position


def test_middle_of_a_text():
    text = "select 1;\nselect 2 form;\r\nselect 3"
    offset = text.index("form")
    assert position(text, offset) == (2, 10)
    assert excerpt(text, offset) == "select 2 form;\n         ^"


def test_wide_and_combining_characters_are_counted_as_shown():
    assert excerpt("'日本e\N{COMBINING ACUTE ACCENT}' x", 7) == "'日本e\N{COMBINING ACUTE ACCENT}' x\n        ^"


def test_tabs_and_escapes_become_blanks():
    assert excerpt("\tselect '\x1b[31m' x", 16) == " select ' [31m' x\n                ^"


def test_end_of_the_text():
    assert excerpt("select (", 8) == "select (\n        ^"
    assert excerpt("", 0) == "\n^"


@given(st.text(), st.data())
def test_position_says_where_the_offset_is(text, data):
    offset = data.draw(st.integers(0, len(text)))
    line, column = position(text, offset)
    assert len("\n".join(text.split("\n")[: line - 1])) + (line > 1) + column - 1 == offset


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_long_lines_are_cut_around_the_caret(before, after):
    shown, caret = excerpt("a" * before + "X" + "b" * after, before).split("\n")
    assert shown[len(caret) - 1] == "X"
    assert len(shown) <= WIDTH + 4
