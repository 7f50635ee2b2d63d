"""A deployment that somebody cancels: in each of its phases, and where undoing takes longer than Prefect waits."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack

import pytest

from tests.support.prefect_parts import is_alive
from tests.support.served import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

_KILLED_AFTER_SECONDS = 30  # by Prefect, where a process does not end on its signal


def test_in_each_phase_before_the_target_is_touched(parts, targets, record_property):
    with ExitStack() as stack:
        backup, rehearse = stack.enter_context(targets.take()), stack.enter_context(targets.take("rehearse"))
        approve = stack.enter_context(targets.take(asking=True))
        all_of_them = (backup, rehearse, approve)
        others = [parts.start(target.name) for target in (rehearse, approve)]
        parts.until(others[1], lambda: parts.state(others[1]) == "PAUSED")
        parts.until(others[0], rehearse.is_held_in_rehearsal)
        with backup.locked("public.items"):  # before it begins, and last of all: it does not wait for long
            runs = [parts.start(backup.name), *others]
            parts.until(runs[0], backup.is_waited_for)
            for run in runs:
                parts.cancel(run)
            for run in runs:
                parts.ended(run, "CANCELLED")
        for run, target in zip(runs, all_of_them, strict=True):
            parts.tells(run, target, "# Interrupted: nothing had been begun")
            target.assert_ended(None)
            assert not list(parts.home.backups(target.name).glob(".partial-*"))
        parts.assert_clean()
    for phase in ("backup", "rehearsal", "approval"):
        record_property("faults", f"a run, cancelled in its {phase}: rolled back")


@pytest.mark.usefixtures("at_length")
def test_while_migrating_and_while_verifying(parts, targets, record_property):
    """Before the last commit it is undone. After it, all is there as rehearsed: that stays, and is finished."""
    with targets.take("migrate") as migrate, targets.take("migrate") as verify:
        runs = parts.hold(migrate, verify)
        parts.cancel(runs[0])
        with verify.locked("pg_catalog.pg_policy"):  # which nothing but the comparison reads here
            pid = verify.pid()
            verify.open("migrate")
            parts.until(runs[1], verify.is_waited_for)
            parts.cancel(runs[1])
            until(lambda: not is_alive(pid))
        for run in runs:
            parts.ended(run, "CANCELLED")
        parts.tells(runs[0], migrate, "# Interrupted: undone")
        parts.tells(runs[1], verify, "# Interrupted: finished all the same")
        migrate.assert_ended("rolled_back")
        verify.assert_ended("done")
        parts.assert_clean()
    record_property("faults", "a run, cancelled while migrating: rolled back")
    record_property("faults", "a run, cancelled while verifying: finished")


@pytest.mark.usefixtures("at_length")
def test_undoing_takes_longer_than_prefect_waits(parts, targets, record_property):
    """Of a cancelled run by its hook, and of one that rolls back; a run that does not end is killed by Prefect."""
    with targets.take("migrate") as slow, targets.take("migrate") as deaf, targets.take("fail", "revert") as undoing:
        runs = parts.hold(slow, deaf, undoing)
        slow.shut("revert")
        os.kill(deaf.pid(), signal.SIGSTOP)
        for run in runs:
            parts.cancel(run)
        until(slow.is_held)
        time.sleep(_KILLED_AFTER_SECONDS + 3)
        assert parts.state(runs[0]) == "CANCELLING"
        assert parts.state(runs[2]) == "CANCELLING"
        for target in (slow, undoing):
            until(target.is_held)
            assert target.journal() == "running"
            target.open("revert")
        for run, target in zip(runs, (slow, deaf, undoing), strict=True):
            parts.ended(run, "CANCELLED")
            parts.tells(run, target, "# Interrupted: undone")
            target.assert_ended("rolled_back")
        parts.assert_clean()
    record_property("faults", "a run, cancelled, undone in more than 30 s: rolled back")
    record_property("faults", "a run, cancelled, killed by Prefect after 30 s: rolled back")
    record_property("faults", "a run, cancelled while it rolled back: rolled back")
