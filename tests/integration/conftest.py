"""What several files need that look at WedSync's schema from outside; a file may have an `api` of its own."""

from __future__ import annotations

import pytest

from tests.support.majors import MAJORS
from tests.support.pairs import pairs


@pytest.fixture(scope="module", params=MAJORS)
def api(clusters, request):
    """The deployed schema with two rows in every table, for each major."""
    with pairs(clusters(request.param)) as connection:
        yield connection


@pytest.fixture
def planted(api):
    """A transaction for a mistake in the schema, taken back at the end."""
    with api.transaction(force_rollback=True):
        yield api
