"""What counts as lost, decided from counts, hashes and definitions."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from wedsync_db.migrate import at_risk
from wedsync_db.migrate.at_risk import Column, Relation
from wedsync_db.model import Change, Licence, Migration, MigrationProof, RelationContent, Script

REVERT = Script(Path("revert.sql"), "drop table t", "a" * 64, "t" * 64, ())


def content(rows: int, digest: str = "7", relation: str = "public.t") -> RelationContent:
    return RelationContent(relation, rows, digest, "sum")


def proof(**values) -> MigrationProof:
    plain = {
        "migration": "0001_x", "licence": Licence.EXACT, "reasons": (), "seconds_up": 0.0, "seconds_down": 0.0,
        "wal_bytes": 0, "locks": (), "created_content": {}, "change": Change({}), "revert_sha256": REVERT.sha256,
    }  # fmt: skip
    return MigrationProof(**{**plain, **values})


def migration(revert: Script | None = REVERT) -> Migration:
    return Migration("0001_x", 1, (), True, None, REVERT, revert, None, None)


def test_an_exact_proof_of_this_very_script_is_a_licence():
    assert at_risk.unlicensed(migration(), proof()) == ()


@pytest.mark.parametrize(
    ("planned", "proven", "said"),
    [
        (migration(revert=None), proof(), "no revert.sql"),
        (migration(), None, "not rehearsed"),
        (migration(), proof(licence=Licence.WEAKER, reasons=("an index is missing",)), "an index is missing"),
        (migration(), proof(licence=Licence.NONE), "not exact"),
        (migration(), proof(revert_sha256="b" * 64), "not the one that was rehearsed"),
        (migration(), proof(revert_sha256=None), "not the one that was rehearsed"),
        (migration(Script(Path("r"), "select SetVal('s', 1)", "a" * 64, "t", ())), proof(), "setval"),
    ],
)
def test_anything_less_is_not_and_says_why(planned, proven, said):
    assert said in "; ".join(at_risk.unlicensed(planned, proven))


def test_an_empty_table_loses_nothing():
    assert at_risk.removed_table(content(0), None) is None


def test_a_table_that_holds_what_the_migration_left_loses_nothing():
    assert at_risk.removed_table(content(3), proof(created_content={"public.t": (3, "7")})) is None


@pytest.mark.parametrize("created", [{}, {"public.t": (2, "7")}, {"public.t": (3, "8")}, {"public.u": (3, "7")}])
def test_any_other_row_is_at_risk(created):
    assert at_risk.removed_table(content(3), proof(created_content=created)) == "3 rows in public.t"
    assert at_risk.removed_table(content(1), None) == "1 row in public.t"


def test_values_in_a_removed_column_are_counted():
    table, column = Relation(1, "public.t", "r", 1), Column(2, "note", "text/0", "none", None, "text")
    assert at_risk.removed_column(table, column, 0) is None
    assert at_risk.removed_column(table, column, 18) == "18 values in public.t.note"


def test_a_surviving_table_must_be_the_same():
    assert at_risk.survivor(content(3), content(3)) is None
    assert "3 rows in public.t, where 2 would be left" in at_risk.survivor(content(3), content(2))
    assert "values in public.t" in at_risk.survivor(content(3, "7"), content(3, "8"))


@pytest.mark.parametrize(
    ("before", "after", "back"),
    [
        (5, 5, False),
        (5, 6, False),
        (None, None, False),
        (None, 1, False),
        (5, 4, True),
        (5, None, True),
        (-5, -6, True),
    ],
)
def test_a_sequence_may_not_go_back(before, after, back):
    found = {9: Relation(9, "public.s", "S", 1)}
    number = {v: None if v is None else Decimal(v) for v in (before, after)}
    assert bool(at_risk.sequences({9: number[before]}, {9: number[after]}, found)) is back


def test_a_sequence_that_goes_may_not_have_been_drawn_from():
    sequence = Relation(9, "public.s", "S", 1)
    assert at_risk.removed_sequence(sequence, None) is None
    assert "public.s" in at_risk.removed_sequence(sequence, Decimal(1))


@pytest.mark.parametrize("rows", [[(0,)], [(Decimal(0),)]])
def test_only_a_plain_zero_of_the_author_clears(rows):
    assert at_risk.lossless(rows) is None


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(None,)],
        [(False,)],
        [("0",)],
        [(0.0,)],
        [(0, 0)],
        [(0,), (0,)],
        [()],
        [(Decimal("NaN"),)],
        [(Decimal("0.5"),)],
    ],
)
def test_any_other_answer_of_the_author_is_at_risk(rows):
    assert "did not answer" in at_risk.lossless(rows)


@pytest.mark.parametrize(("lost", "said"), [(3, "3 rows or values"), (1, "1 row or value,"), (-1, "-1 rows or values")])
def test_the_authors_count_is_passed_on(lost, said):
    assert said in at_risk.lossless([(lost,)])


def test_a_revert_undoes_exactly_what_the_migration_did():
    did = Change({"table:a": (None, "x"), "index:b": ("y", "z"), "view:c": ("w", None)})
    undone = Change({"table:a": ("x", None), "index:b": ("z", "y"), "view:c": (None, "w")})
    assert at_risk.beyond(undone, did) == ()


@pytest.mark.parametrize(
    "happened",
    [
        {"table:a": ("x", None), "view:theirs": ("v", None)},  # a cascade
        {},  # not undone
        {"table:a": ("other", None)},  # somebody changed it since
        {"table:a": ("x", "left")},
    ],
)
def test_more_less_or_something_else_is_at_risk(happened):
    assert at_risk.beyond(Change(happened), Change({"table:a": (None, "x")}))


def test_an_unknown_change_is_at_risk_and_many_objects_are_cut_short():
    assert "not known" in at_risk.beyond(Change({}), None)[0]
    many = Change({f"table:{n}": ("x", None) for n in range(9)})
    assert at_risk.beyond(many, Change({}))[0].endswith("table:4, …")


def test_what_cannot_be_counted_is_named():
    assert "public.t" in at_risk.removed_type(Relation(1, "public.t", "c", 0))
    assert "public.t" in at_risk.written_elsewhere(Relation(1, "public.t", "f", 0))
