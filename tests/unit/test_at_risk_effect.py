"""What a revert removes, rewrites or moves, told from the relations before and after it."""

from __future__ import annotations

from dataclasses import replace

from wedsync_db.migrate.at_risk import Column, Relation, effect


def column(number: int, name: str = "", form: str = "text/0", default: str = "none") -> Column:
    return Column(number, name or f"c{number}", form, default, None, "text")


def table(oid: int, *columns: Column, kind: str = "r", storage: int = 1) -> Relation:
    return Relation(oid, f"public.t{oid}", kind, storage, columns)


def before_and_after(before: list[Relation], after: list[Relation], written: set[int] = frozenset()):
    return effect({r.oid: r for r in before}, {r.oid: r for r in after}, written)


def test_a_table_that_is_gone_is_removed():
    gone = table(1, column(1))
    assert before_and_after([gone, table(2)], [table(2)]).removed_tables == (gone,)


def test_a_partitioned_parent_holds_no_rows():
    assert not before_and_after([table(1, kind="p")], []).removed_tables


def test_a_renamed_column_survives():
    seen = before_and_after([table(1, column(1, "a"))], [table(1, column(1, "b"))], {1})
    assert seen.removed_columns == ()
    assert seen.survivors[0].columns == (("a", "b"),)


def test_a_column_replaced_under_its_name_is_removed():
    assert before_and_after([table(1, column(1, "a"))], [table(1, column(2, "a"))]).removed_columns


def test_a_generated_column_holds_nothing_of_its_own():
    generated = table(1, column(1), column(2, default="generated"))
    assert not before_and_after([generated], [table(1, column(1))]).removed_columns


def test_a_table_whose_stored_rows_are_left_alone_need_not_be_read():
    assert not before_and_after([table(1, column(1), column(2))], [table(1, column(1))]).survivors


def test_a_table_written_to_stored_anew_or_read_through_another_type_is_compared():
    plain = table(1, column(1))
    assert before_and_after([plain], [plain], {1}).survivors
    assert before_and_after([plain], [replace(plain, storage=2)]).survivors
    assert before_and_after([plain], [table(1, column(1, form="varchar(3)/0"))]).survivors


def test_a_sequence_goes_with_its_column_or_on_its_own():
    owner = table(1, column(1))
    serial = Relation(9, "public.s", "S", 1, owner=(1, 1))
    assert not before_and_after([owner, serial], []).removed_sequences
    assert not before_and_after([owner, serial], [table(1)]).removed_sequences
    assert before_and_after([owner, serial], [owner]).removed_sequences == (serial,)
    assert before_and_after([replace(serial, owner=None)], []).removed_sequences
    assert before_and_after([serial], []).removed_sequences, "the table is not among those touched"


def test_an_attribute_taken_from_a_composite_type_is_seen():
    composite = table(1, column(1), column(2), kind="c")
    assert before_and_after([composite], [replace(composite, columns=(column(1),))]).removed_types == (composite,)
    assert not before_and_after([composite], [composite]).removed_types
    assert not before_and_after([composite], []).removed_types, "columns of that type are gone on their own account"


def test_a_foreign_table_that_is_written_to_is_seen():
    foreign = table(1, kind="f")
    assert before_and_after([foreign], [foreign], {1}).written_elsewhere == (foreign,)
    assert not before_and_after([foreign], [foreign]).written_elsewhere


def test_what_is_new_afterwards_is_told_by_name():
    assert before_and_after([], [table(3)]).others == {"public.t3"}


def test_everything_that_is_looked_at_is_guarded():
    gone, narrowed, rewritten = table(1), table(2, column(1)), table(3, column(1))
    seen = before_and_after([gone, narrowed, rewritten, table(4)], [table(2), replace(rewritten, storage=5), table(4)])
    assert seen.guarded == {"public.t1", "public.t2", "public.t3"}
