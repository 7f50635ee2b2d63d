"""A deployment that fails, and one whose own process is told to end or is killed: under a worker, and by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.support.served import SECONDS, until
from wedsync_db.installation import CHECKOUT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900), pytest.mark.usefixtures("at_length")]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)


def test_a_run_that_fails_is_rolled_back_in_place(parts, targets, record_property):
    with targets.take("fail") as target:
        run = parts.start(target.name)
        parts.ended(run, "FAILED")
        assert parts.ask(f"/flow_runs/{run}")["state"]["name"] == "RolledBack"
        parts.tells(run, target, "# Rolled back")
        target.assert_ended("rolled_back")
        parts.assert_clean()
    record_property("faults", "a migration: rolled back")


def test_under_a_worker(parts, targets, record_property):
    with ExitStack() as stack:
        taken = [stack.enter_context(targets.take("migrate")) for _ in _SIGNALS]
        runs = parts.hold(*taken)
        for target, number in zip(taken, _SIGNALS, strict=True):
            os.kill(target.pid(), number)
        for run, target in zip(runs, taken, strict=True):
            parts.ended(run, "CRASHED")
            parts.tells(run, target, "# Interrupted: undone")  # the state comes first, and then the hook
            target.assert_ended("rolled_back")
        parts.assert_clean()
    for number in _SIGNALS:
        record_property("faults", f"a worker's run, {number.name}: rolled back")


@pytest.mark.parametrize(("number", "served"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_on_the_command_line(parts, targets, number, served, record_property):
    """It undoes what it began before it ends, and nobody else has to."""
    environ = {k: v for k, v in parts.environ.items() if served or k != "PREFECT_API_URL"}
    with targets.take("migrate") as target:
        command = [sys.executable, "-m", "flows", "deploy", target.name]
        with subprocess.Popen(command, cwd=CHECKOUT, env=environ) as process:
            until(lambda: target.is_held() or process.poll() is not None)
            process.send_signal(number)
            assert process.wait(SECONDS) == 130
        target.assert_ended("rolled_back")
        parts.assert_clean()
    record_property("faults", f"a run of the command line, {number.name}: rolled back")
