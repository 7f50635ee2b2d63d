"""What a person reads of a repair: what would come back, what came back, and what is left to decide."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from wedsync_db.repair.report import Notes, Repaired, repair_text

FOUND = Repaired(
    "20260607T143000Z-4f2a", False, 90.0, ("0002_x",), {"public.a": {"restored": 1, "values": 1_200, "conflict": 2}},
    ("public.b: it has no primary key",), ("conflict: public.a (7): note",), Path("/reports/x.jsonl"),
)  # fmt: skip


def test_before_it_says_what_would_be_done_and_how():
    assert repair_text(FOUND, "demo").splitlines() == [
        "demo: repair from 20260607T143000Z-4f2a",
        "migrations since: 0002_x",
        "the backup is 90.0 s older: what was written then, and taken, is not in it",
        "  public.a: 1 row would come back; 1,200 rows with values that would come back; 2 rows with a newer value, which stays",  # noqa: E501
        "  a person is needed: public.b: it has no primary key",
        "  conflict: public.a (7): note",
        "every row: /reports/x.jsonl",
        "nothing was written; to do it: --apply demo --reason WHY",
    ]


@pytest.mark.parametrize(
    ("found", "end"),
    [
        (replace(FOUND, applied=True), "the rest is for a person to decide"),
        (replace(FOUND, applied=True, tables={"public.a": {"values": 1}}, person=()), "everything is back"),
        (replace(FOUND, tables={}, person=()), "nothing is lost"),
        (replace(FOUND, tables={"public.a": {"deleted": 1}}, person=()), "nothing is lost"),
        (replace(FOUND, migrations=()), "one from before the mistake is needed"),
    ],
)
def test_the_end_says_what_is_next(found, end):
    assert repair_text(found, "demo").endswith(end)


def test_what_came_back_is_noted_once_and_what_is_left_anew_in_each_round():
    done, left = io.StringIO(), io.StringIO()
    notes = Notes(done, left)
    notes.add("public.a", ["1"], "restored")
    notes.add("public.a", ["2"], "refused", why="not yet")
    notes.again()
    notes.add("public.a", ["2"], "restored")
    notes.add("public.a", ["3"], "conflict", ["note"])
    assert done.getvalue().count("restored") == 2
    assert "refused" not in left.getvalue()
    assert notes.counts == {"public.a": {"restored": 1, "conflict": 1}}
    assert notes.examples == ["conflict: public.a (3): note"]
