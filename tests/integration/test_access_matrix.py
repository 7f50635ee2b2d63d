"""Every actor, table, operation and situation under the deployed policies and grants, against a catalogue in words."""

from __future__ import annotations

import pytest

from tests.access.catalogue import INTERNAL, TABLES
from tests.access.driver import open_matrix
from tests.access.oracle import GRANTED, UNGRANTED
from tests.access.world import ACTORS
from tests.support.majors import MAJORS


@pytest.fixture(scope="module", params=MAJORS)
def matrix(clusters, request):
    """A deployed database with the rows of the matrix."""
    with open_matrix(clusters(request.param)) as opened:
        yield opened


def test_it_does_not_shrink(matrix):
    assert len(matrix.cases) >= 6000
    assert len(ACTORS) >= 13
    known = {table for table in matrix.structure.columns if table.split(".")[0] not in INTERNAL}
    assert known == set(TABLES) - {"audit.log"}  # no table without rules, no rules without a table


@pytest.mark.parametrize("layer", [GRANTED, UNGRANTED])
def test_nobody_gets_more_or_less_than_the_catalogue_says(matrix, layer):
    wrong = [line for table in matrix.tables for line in matrix.failures(table, layer)]
    assert not wrong, f"{len(wrong)} of {len(matrix.cases)} cases:\n" + "\n".join(wrong[:40])
