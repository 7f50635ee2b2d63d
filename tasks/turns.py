"""Whose turn it is on a target. Not tasks: they are held while other tasks run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tasks.names import EnvironmentName
from tasks.running import say
from wedsync_db.installation import this_installation
from wedsync_db.postgres.locks import TargetLock, announce, target_lock


class Turn:
    """A deployment's announcement, which it may give up for a while."""

    def __init__(self, environment: EnvironmentName) -> None:
        self._environment = environment
        self._held = ExitStack()

    def take(self, *, wait_seconds: float = 0.0) -> None:
        """Announce the deployment.

        Raises:
            TargetHeld: another one runs; the message says whose, and since when.
        """
        with ExitStack() as taking:
            address = taking.enter_context(this_installation().target(self._environment, create=True))
            taking.enter_context(announce(address, wait_seconds=wait_seconds, say=say))
            self._held = taking.pop_all()

    def leave(self) -> None:
        """End the announcement, if it is held, and its session with it."""
        self._held.close()

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Let others have their turn during this block: whatever was known about the target may be otherwise then.

        Raises:
            TargetHeld: another deployment runs when the block ends.
        """
        self.leave()
        yield
        self.take(wait_seconds=this_installation().environment(self._environment).guard.wait_for_holder_seconds)


@contextmanager
def announced_deployment(environment: EnvironmentName) -> Iterator[Turn]:
    """Be the one deployment of this target, announced so that long jobs give way; creates an embedded environment.

    Raises:
        TargetHeld: another deployment runs; the message says whose, and since when.
    """
    turn = Turn(environment)
    turn.take()
    try:
        yield turn
    finally:
        turn.leave()


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
