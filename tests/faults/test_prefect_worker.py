"""A worker that is stopped or killed while it looks after a deployment."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.prefect_parts import is_alive
from tests.support.served import until
from wedsync_db.cli.automations import register
from wedsync_db.cli.prefect_api import ask

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

_GONE_SECONDS = 300  # 90 without a sign of life, and what a busy server needs to notice


def test_stopped_it_leaves_the_run_to_reconcile(parts, targets, record_property):
    """Prefect shows that run as running for ever, and calls no hook: on a target that is half way."""
    with targets.take("migrate") as target:
        (run,) = parts.hold(target)
        pid = target.pid()
        parts.kill("worker", signal.SIGTERM)
        until(lambda: not is_alive(pid))
        assert (parts.state(run), target.journal()) == ("RUNNING", "running")
        parts.start_worker()
        assert "was undone: reverted 0001_first" in parts.reconcile(target)
        target.assert_ended("rolled_back")
    parts.assert_clean()
    record_property("faults", "the worker, SIGTERM: rolled back")


def test_killed_it_is_not_missed_until_the_run_is_killed_too(parts, targets, record_property):
    with targets.take("migrate") as goes_on, targets.take("migrate") as killed:
        runs = parts.hold(goes_on, killed)
        parts.kill("worker")
        os.kill(killed.pid(), signal.SIGKILL)
        goes_on.open("migrate")
        parts.ended(runs[0], "COMPLETED")
        parts.tells(runs[0], goes_on, "# Deployed")
        goes_on.assert_ended("done")
        assert killed.journal() == "running"
        parts.start_worker()
        assert "was undone: reverted 0001_first" in parts.reconcile(killed)
        killed.assert_ended("rolled_back")
    parts.assert_clean()
    record_property("faults", "the worker, SIGKILL: finished")
    record_property("faults", "the worker and its run, SIGKILL: rolled back")


@pytest.fixture
def automations(parts) -> Iterator[None]:
    """What `up` registers, while a test needs it: a machine that is too busy for signs of life takes other runs too."""
    register(parts.api, ())
    yield
    for one in ask(f"{parts.api}/automations/filter", {}):
        ask(f"{parts.api}/automations/{one['id']}", method="DELETE")


@pytest.mark.usefixtures("at_length", "automations")
def test_killed_with_its_run_prefect_shows_it_as_crashed(parts, targets, record_property):
    """The server does, by the signs of life that do not come any more; whose worker it was does not matter."""
    with targets.take("migrate") as target:
        (run,) = parts.hold(target)
        pid = target.pid()
        parts.kill("worker")
        os.kill(pid, signal.SIGKILL)
        until(lambda: parts.state(run) == "CRASHED", _GONE_SECONDS)
        assert target.journal() == "running"
        parts.start_worker()
        assert "was undone: reverted 0001_first" in parts.reconcile(target)
        target.assert_ended("rolled_back")
    parts.assert_clean()
    record_property("faults", "the worker and its run, SIGKILL, marked as crashed: rolled back")
