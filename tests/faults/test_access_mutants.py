"""What breaks the access of a deployed database is noticed: each policy, grant and trigger in turn, then taken back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import pytest

from tests.access.driver import Matrix, open_matrix
from tests.access.mutants import Mutant, every_mutant
from tests.access.oracle import GRANTED, UNGRANTED
from tests.support.golden import assert_golden
from wedsync_db.model import Finding
from wedsync_db.schema.checks import check_schema

pytestmark = pytest.mark.faults
UNNOTICED = "no case"
HEAD = """\
Mutants that change nothing in a database as it is deployed, because something else holds there. Behind each kind: what
notices them all the same, the cases in which the grants are lost or a check over the catalog.
"""


@pytest.fixture(scope="module")
def matrix(clusters):
    """A deployed database in which nothing fails yet."""
    with open_matrix(clusters(18)) as opened:
        for layer in (GRANTED, UNGRANTED):
            assert not [line for table in opened.tables for line in opened.failures(table, layer)]
        yield opened


@pytest.mark.timeout(1200)
def test_every_mutant_is_noticed(matrix):
    mutants = every_mutant(matrix.connection, matrix.structure)
    assert len(mutants) >= 2000
    left = defaultdict(list)
    for mutant in mutants:
        if (noticed := _noticed(matrix, mutant)) != GRANTED:
            left[mutant.kind, noticed].append(mutant)
    text = "\n".join(_told(matrix, left))
    assert "noticed by nobody" not in text, text
    assert_golden("access/equivalent.txt", text)


def _noticed(matrix: Matrix, mutant: Mutant) -> str:
    """In which layer a case fails first."""
    with matrix.connection.transaction(force_rollback=True):
        matrix.connection.execute(mutant.statement)
        for layer in (GRANTED, UNGRANTED):
            if any(matrix.failures(table, layer, only_first=True) for table in mutant.tables):
                return layer
        return UNNOTICED


def _told(matrix: Matrix, left: Mapping[tuple[str, str], Iterable[Mutant]]) -> Iterator[str]:
    """The golden file, line by line."""
    before = set(check_schema(matrix.connection))
    yield HEAD
    for (kind, noticed), mutants in sorted(left.items()):
        by_check = defaultdict(list)
        for mutant in mutants:
            notices = [noticed] * (noticed == UNGRANTED) + _found(matrix, mutant, before)
            by_check[", ".join(notices) or "nobody"].append(mutant.what)
        for check, whats in sorted(by_check.items()):
            yield f"{kind}, {len(whats)}, noticed by {check}:"
            yield from (f"  {' '.join(what.split())}" for what in whats)


def _found(matrix: Matrix, mutant: Mutant, before: set[Finding]) -> list[str]:
    """The checks over the catalog that find more than before."""
    with matrix.connection.transaction(force_rollback=True):
        matrix.connection.execute(mutant.statement)
        return sorted({finding.rule for finding in set(check_schema(matrix.connection)) - before})
