"""A Prefect server that asks for a password: who has it is let in, and who has not is told which variable to set."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1500)]


@pytest.mark.parametrize("who", ["direct without a password", "remote without a password"])
def test_nobody_is_let_in_without_the_password(both_ways, who):
    ran = both_ways.ran[who]
    assert ran.code == 3, ran.err
    assert "PREFECT_API_AUTH_STRING" in ran.err
    assert "Nothing was touched" in ran.err
    assert both_ways.started_by_that == 0


def test_up_and_its_worker_are_let_in(both_ways):
    """`up` was given the server's variable alone; that the worker and its hooks work, the deployments show."""
    assert "Prefect UI" in both_ways.up
    assert "could not be asked" not in both_ways.up
    assert both_ways.ran["remote done"].code == 0
    assert "reverted 0001_small" in both_ways.hooked
