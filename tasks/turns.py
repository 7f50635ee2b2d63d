"""Whose turn it is on a target. Not tasks: they are held while other tasks run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.names import EnvironmentName
from tasks.running import say
from wedsync_db.installation import this_installation
from wedsync_db.postgres.locks import TargetLock, announce, target_lock


@contextmanager
def announced_deployment(environment: EnvironmentName) -> Iterator[None]:
    """Be the one deployment of this target, announced so that long jobs give way; creates an embedded environment.

    Raises:
        TargetHeld: another deployment runs; the message says whose, and since when.
    """
    with this_installation().target(environment, create=True) as address, announce(address):
        yield


@contextmanager
def held_target(environment: EnvironmentName) -> Iterator[TargetLock]:
    """Hold the target's lock: no backup, migration, maintenance or load test besides ours.

    Raises:
        TargetHeld: somebody holds it, and did not let go in the time the environment allows.
    """
    installation = this_installation()
    wait = installation.environment(environment).guard.wait_for_holder_seconds
    with (
        installation.target(environment) as address,
        target_lock(address, "deploy", wait_seconds=wait, say=say) as lock,
    ):
        yield lock
