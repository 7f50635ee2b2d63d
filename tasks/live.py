"""How far a load test is, while it runs: one line that is redrawn on a terminal, and one in ten seconds elsewhere."""

from __future__ import annotations

import math
import time
from typing import Self

from tasks.publishing import Progress as Shown
from tasks.running import say
from wedsync_db.cli.terminal import over
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.worker import Progress
from wedsync_db.report.load.live import Follower, progress_line

_SAY_SECONDS = 10.0


class Live:
    """Gets the progress of all runs, one after the other."""

    def __init__(self, environment: str, scenario: Scenario, runs: int) -> None:
        self._shown = Shown(f"load-progress-{environment}", "Load test")
        self._follower = Follower(scenario, runs)
        self._said = -math.inf

    def __enter__(self) -> Self:
        """Nothing is shown yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """The line that is redrawn goes."""
        over("")

    def tell(self, progress: Progress) -> None:
        """Show it."""
        now = time.monotonic()
        standing = self._follower.hear(progress, now)
        self._shown(standing.share)
        line = progress_line(standing)
        if (
            not over(f"  {line}") and now - self._said >= _SAY_SECONDS
        ):  # a line of the log is a row in Prefect's database
            self._said = now
            say(line)

    @staticmethod
    def say(text: str) -> None:
        """A line that stays, in the place of the one that is redrawn."""
        over("")
        say(text)
