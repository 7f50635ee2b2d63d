"""A table measured in pieces is measured as a whole: every row once, none twice."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.support.majors import every_major
from wedsync_db.backup.pieces import in_pieces, put_together
from wedsync_db.backup.watch import Weight, weigh
from wedsync_db.postgres.content import measure, measure_pinned, pinned, tables


def test_small_tables_stay_whole_and_large_ones_are_cut():
    small, large, huge = (
        Weight("s", 1, 5_000_000, 1, 600),
        Weight("l", 2, 50 << 20, 1, 6400),
        Weight("h", 3, 1 << 40, 1, 9),
    )
    pieces = in_pieces([huge, large, small])
    by_table = {name: [p for p in pieces if p.relation == name] for name in "shl"}
    assert [(p.first, p.last) for p in by_table["s"]] == [(None, None)]
    assert len(by_table["l"]) == 12
    assert len(by_table["h"]) == 9  # never more pieces than blocks: the rest is TOAST
    for name, weight in (("l", 50 << 20), ("h", 1 << 40)):
        assert sum(p.bytes for p in by_table[name]) == pytest.approx(weight)
        assert (by_table[name][0].first, by_table[name][-1].last) == (0, None)
        assert all(one.last == other.first for one, other in pairwise(by_table[name]))


@every_major
def test_the_pieces_of_a_table_add_up_to_the_table(db):
    db.execute("create table t as select g, repeat(md5(g::text), 12) as x from generate_series(1, 40000) g")
    db.execute("update t set x = 'short' where g % 3 = 0; delete from t where g between 5000 and 9000")
    db.execute("create table empty (x int); create table parent (x int); create table child (y int) inherits (parent)")
    db.execute("insert into child values (1, 2); insert into parent values (3)")
    pieces = in_pieces(weigh(db, tables(db)))
    assert len([piece for piece in pieces if piece.relation == "public.t"]) > 2
    with pinned(db):
        found = put_together(piece.measure(db) for piece in pieces)
        plan = db.execute(
            "explain select count(*) from only public.t where ctid >= '(5,0)' and ctid < '(50,0)'"
        ).fetchall()
        assert measure_pinned(db, "public.t", blocks=(4_000_000, None)).rows == 0  # beyond its end
    assert found == tuple(measure(db, name) for name in ("public.child", "public.empty", "public.parent", "public.t"))
    assert any("Tid Range Scan" in line for (line,) in plan)
