"""Lines and progress on the terminal: to stderr, so that --json on stdout stays clean."""

from __future__ import annotations

import sys
import time

from wedsync_db.redact import redact

_INTERVAL_SECONDS = 0.5


def say(text: str) -> None:
    """One line for the person who waits."""
    print(redact(text), file=sys.stderr, flush=True)  # noqa: T201 the command line prints


class Progress:
    """Percent and time left on one line that is written over; silent where stderr is no terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = self._shown = time.monotonic()

    def __call__(self, fraction: float) -> None:
        """Show a fraction from 0 to 1."""
        now = time.monotonic()
        if not sys.stderr.isatty() or (now - self._shown < _INTERVAL_SECONDS and fraction < 1):
            return
        self._shown = now
        left = (now - self._started) / fraction * (1 - fraction) if fraction > 0 else 0.0
        end = "\n" if fraction >= 1 else ""
        print(f"\r\033[K  {self._what} {fraction:4.0%}, {left:.0f} s left", end=end, file=sys.stderr, flush=True)  # noqa: T201
