"""How many statements travel at once: never more than a server that waits takes in, or the session passes for dead."""

from __future__ import annotations

from wedsync_db.migrate.batch import Message, batches


def lots(*sizes: int) -> list[list[int]]:
    return [[len(m.sql) for m in lot] for lot in batches(Message("x" * size) for size in sizes)]


def test_small_statements_travel_together():
    assert lots(100, 200, 300) == [[100, 200, 300]]


def test_no_lot_is_larger_than_a_socket_holds():
    many = lots(*[200] * 1000)
    assert sum(map(len, many)) == 1000
    assert all(sum(lot) + 64 * len(lot) <= 32_768 for lot in many)
    assert len(many) < 10, "and not one by one"


def test_a_long_statement_goes_alone():
    assert lots(10, 1_000_000, 10) == [[10], [1_000_000], [10]]


def test_nothing_makes_no_lot():
    assert lots() == []
