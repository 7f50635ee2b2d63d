"""Waiting for what comes by itself, at its own time: never for longer than it may take on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(done: Callable[[], object], seconds: float = 90.0, *, every: float = 0.02) -> None:
    """Wait for something to come true; fail if it does not."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(every)


def eventually(done: Callable[[], bool]) -> bool:
    """Whether it comes true within ten seconds."""
    deadline = time.monotonic() + 10
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)
    return done()
