"""The header lines atop a deploy.sql."""

from __future__ import annotations

import pytest

from wedsync_db.migrate.header import Header, read_header


def problems(text):
    return [(p.line, p.column, p.message) for p in read_header(text)[1]]


def test_no_header():
    assert read_header("create table t (a int);\n") == (Header(), ())
    assert read_header("") == (Header(), ())


def test_all_lines_in_any_order_among_prose_and_blank_lines():
    text = (
        "-- Guests' notes: what they may not eat.\n\n  --loses:  values of notes  \r\n"
        "-- see https://example.org\n-- transaction: none\n-- requires: 0001_a ,0002_b\n--requires:0003_c\n"
        "-- requires: 0002_b\nselect 1;"
    )
    header, wrong = read_header(text)
    assert header == Header(("0001_a", "0002_b"), transactional=False, loses="values of notes")
    assert wrong == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-- require: 0001_a", "unknown header line 'require'"),
        ("-- transactions: none", "unknown header line 'transactions'"),
        ("-- transaction: off", "'transaction: off' means nothing"),
        ("-- transaction:", "'transaction: ' means nothing"),
        ("-- loses:", "'loses:' says nothing"),
        ("-- requires: first", "'first' is no migration's name"),
        ("-- requires: 0001_a, ", "'' is no migration's name"),
        ("-- requires: 0001_a 0002_b", "'0001_a 0002_b' is no migration's name"),
    ],
)
def test_line_nobody_would_obey(line, message):
    assert problems(f"-- why\n{line}\nselect 1;") == [(2, 4, message)]


def test_wrong_names_do_not_hide_right_ones():
    header, wrong = read_header("-- requires: 0001_a, oops\n-- requires: 0002_b")
    assert header.requires == ("0001_a", "0002_b")
    assert len(wrong) == 1


@pytest.mark.parametrize("line", ["-- transaction: none", "-- loses: it"])
def test_said_twice(line):
    assert len(problems(f"{line}\n{line}\n")) == 1


@pytest.mark.parametrize("above", ["select 1;", "/* licence */"])
def test_header_line_below_the_header(above):
    (found,) = problems(f"{above}\n-- transaction: none\nselect 2;")
    assert found == (2, 4, "the header line 'transaction' stands below the header")


def test_other_comments_below_the_header_are_free():
    assert problems("select 1;\n-- note: requires: nothing\n  -- loses: indented, in a function\n") == []
