"""Large tables are measured in pieces: several sessions share the work, and it can be told how far they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby

import psycopg

from wedsync_db.backup.watch import Weight
from wedsync_db.model import RelationContent
from wedsync_db.postgres.content import measure_pinned

_LEAST_BYTES = 4 << 20
_MOST = 64  # of one table: two points of the progress are good enough


@dataclass(frozen=True, slots=True)
class Piece:
    """All of a table, or the rows in its blocks from `first` on and before `last` (None: to the end).

    `bytes` is its share of the table's weight.
    """

    relation: str
    bytes: float
    first: int | None = None
    last: int | None = None

    def measure(self, connection: psycopg.Connection) -> RelationContent:
        """Count and hash its rows, in a session that has PINNED in force."""
        return measure_pinned(connection, self.relation, blocks=None if self.first is None else (self.first, self.last))


def in_pieces(weights: Iterable[Weight]) -> tuple[Piece, ...]:
    """The pieces of all tables, in the order of the tables."""
    return tuple(piece for one in weights for piece in _pieces(one))


def _pieces(table: Weight) -> Iterator[Piece]:
    count = max(1, min(_MOST, table.bytes // _LEAST_BYTES, table.blocks))
    if count == 1:
        yield Piece(table.relation, table.bytes)
        return
    bounds = [table.blocks * number // count for number in range(count)]
    for first, last in zip(bounds, [*bounds[1:], None], strict=True):
        yield Piece(table.relation, table.bytes / count, first, last)


def share_measured(pieces: Sequence[Piece], contents: Sequence[Future[RelationContent]]) -> float:
    """The share of the bytes that was measured, 0 to 1."""
    total = sum(one.bytes for one in pieces)
    done = sum(one.bytes for one, future in zip(pieces, contents, strict=True) if future.done())
    return done / total if total else 1.0


def put_together(contents: Iterable[RelationContent]) -> tuple[RelationContent, ...]:
    """Each table's content from that of its pieces, by name: counts and sums add up."""
    ordered = sorted(contents, key=lambda one: one.relation)
    found = []
    for relation, group in groupby(ordered, key=lambda one: one.relation):
        parts = list(group)
        total = str(sum(int(one.hash) for one in parts))
        found.append(RelationContent(relation, sum(one.rows for one in parts), total, parts[0].method))
    return tuple(found)
