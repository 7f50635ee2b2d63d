"""Lines and progress on the terminal: to stderr, so that --json on stdout stays clean.

Nothing here raises: a terminal that was closed must not stop a backup or a revert half way.
"""

from __future__ import annotations

import io
import os
import select
import shutil
import sys
import time
from contextlib import suppress

from wedsync_db.redact import redact

_INTERVAL_SECONDS = 0.5
_CLEAR_LINE = "\r\033[K"


def prepare() -> None:
    """Let a character that the locale lacks, or a path that is not text, be shown escaped instead of ending the run."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """One line for the person who waits."""
    _tell(f"{redact(text)}\n")


def over(text: str) -> bool:
    """Write over the line of progress, as much as fits; nothing takes it away. False where there is no terminal."""
    if not _on_terminal():
        return False
    _tell(redact(text)[: shutil.get_terminal_size().columns - 1])
    return True


def can_ask() -> bool:
    """Whether a person sits at both ends: one who sees the question and can type the answer."""
    return _on_terminal() and sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def ask(prompt: str, seconds: float) -> str | None:
    """The line that was typed, without the blanks around it; None when none came in time."""
    _tell(prompt)
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    if not ready:
        _tell("\n")
        return None
    return sys.stdin.readline().strip()


def let_go() -> None:
    """At the end: a stream whose reader went away takes what is left to nowhere, or Python would exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


class Progress:
    """Percent and time left on one line that is written over; silent where stderr is no terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = self._shown = time.monotonic()

    def __call__(self, fraction: float) -> None:
        """Show a fraction from 0 to 1; at 1 the line is taken away."""
        now = time.monotonic()
        if not _on_terminal() or (now - self._shown < _INTERVAL_SECONDS and fraction < 1):
            return
        self._shown = now
        left = f", {(now - self._started) / fraction * (1 - fraction):.0f} s left" if fraction > 0 else ""
        _tell(f"  {self._what} {fraction:.0%}{left}" if fraction < 1 else "")


def _on_terminal() -> bool:
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


def _tell(text: str) -> None:
    """Write to stderr, over the line of progress where there is one. Closed, broken or full: not our business."""
    if sys.stderr is None or sys.stderr.closed:
        return
    with suppress(OSError):
        sys.stderr.write(f"{_CLEAR_LINE if sys.stderr.isatty() else ''}{text}")
        sys.stderr.flush()
