"""No password and no row's value in what real deployments leave: done, failed, rolled back, refused, killed.

Planted are the password in the target's URL, the API's password, and a value in a table that makes one migration fail
on the target with a unique violation and another one in its rehearsal with a check violation: PostgreSQL quotes it.
"""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1500)]


def test_the_errors_that_quote_the_row_did_happen(both_ways):
    assert both_ways.ran["direct failed"].code == both_ways.ran["remote failed"].code == 1
    assert "people_email_key" in both_ways.ran["direct failed"].out
    assert both_ways.ran["remote unproven"].code == 1
    assert "people_age_check" in both_ways.ran["remote unproven"].err


def test_no_planted_word_is_found_anywhere(both_ways):
    assert both_ways.leaks == []


@pytest.mark.parametrize(
    "place",
    [
        "in a command line", "in what `remote failed` said", "in table flow_run", "in table log", "in table artifact",
        "in table flow_run_state", ".html (reports)", "server.log", "worker.log", "prefect.db (prefect)",
        "manifest.json",
    ],
)  # fmt: skip
def test_every_place_was_looked_at(both_ways, place):
    """By words that may be there."""
    assert any(place in found for found in both_ways.searched), both_ways.searched
