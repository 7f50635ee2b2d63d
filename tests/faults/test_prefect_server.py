"""A Prefect server that dies while a deployment runs, comes back, or does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.served import until
from wedsync_db.installation import CHECKOUT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def status(parts, target) -> str:
    """What an operator sees who has no Prefect to ask."""
    command = [sys.executable, "-m", "flows", "status", target.name]
    return subprocess.run(command, cwd=CHECKOUT, env=parts.environ, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("seconds", [8, 36])
def test_dead_for_a_while(parts, targets, seconds, record_property, request):
    """The deployment does not wait for it; Prefect learns the end when the server is back."""
    if seconds > 8:
        request.getfixturevalue("at_length")
    with targets.take("migrate") as target:
        (run,) = parts.hold(target)
        parts.kill("server")
        target.open("migrate")
        until(lambda: target.journal() == "done")
        time.sleep(seconds)
        parts.start_server()
        parts.ended(run, "COMPLETED")
        target.assert_ended("done")
        parts.assert_clean()
    record_property("faults", f"the Prefect server, dead for {seconds} s: finished")


@pytest.mark.usefixtures("at_length")
def test_dead_for_good(parts, targets, record_property):
    """One deployment ends well, one fails and is rolled back in place; nobody is left on the targets.

    Their processes still try for some minutes to tell Prefect: that holds nothing, and here they are ended.
    """
    with targets.take("migrate") as good, targets.take("migrate", "fail") as bad:
        parts.hold(good, bad)
        pids = (good.pid(), bad.pid())
        parts.kill("server")
        for target, how in ((good, "done"), (bad, "rolled_back")):
            target.open("migrate")
            until(lambda target=target, how=how: target.journal() == how)
            target.assert_ended(how)
            assert "if cancelled now: no deployment is under way" in status(parts, target)
        parts.kill("worker")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        parts.assert_clean()
    record_property("faults", "the Prefect server, for good: finished")
    record_property("faults", "the Prefect server, for good, and a migration: rolled back")


@pytest.mark.usefixtures("at_length")
def test_server_and_worker_killed_and_started_again(parts, targets, record_property):
    """The runs go on without them. One whose process is killed as well is settled as soon as somebody looks."""
    with targets.take("migrate") as goes_on, targets.take("migrate") as killed:
        run, _ = parts.hold(goes_on, killed)
        parts.kill("server")
        parts.kill("worker")
        os.kill(killed.pid(), signal.SIGKILL)
        goes_on.open("migrate")
        until(lambda: goes_on.journal() == "done")
        parts.mend()
        assert "was undone: reverted 0001_first" in parts.reconcile(killed)
        parts.ended(run, "COMPLETED")
        goes_on.assert_ended("done")
        killed.assert_ended("rolled_back")
        parts.assert_clean()
    record_property("faults", "server and worker, SIGKILL: finished")
    record_property("faults", "server, worker and the run, SIGKILL: rolled back")
