"""When a run ends before its time: it does nothing but harm, or what must hold all the time does not. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wedsync_db.load.criteria import Criterion
from wedsync_db.load.safety import Safety
from wedsync_db.load.worker import Progress


class KillSwitch:
    """Ends a run that does nothing but harm: too many errors, or standbys that are left behind, for some seconds.

    To be asked once a second; `why` says what ended the run, once it has.
    """

    def __init__(self, criteria: Sequence[Criterion] = (), safety: Safety | None = None) -> None:
        self.why = ""
        self._safety = safety or Safety()
        self._before = Progress(0, 0, 0, None)
        self._bad = self._behind = self._seconds = 0
        self._beyond = {one: 0 for one in criteria if one.abort}

    def is_pulled(self, progress: Progress, lag: float = 0.0) -> bool:
        """Whether to end the run; to be asked with each second's progress, and by how many seconds a standby lags."""
        self._seconds += 1
        before, self._before = self._before, progress
        answered, errors = progress.answered - before.answered, progress.errors - before.errors
        share, most_lag = self._safety.stop_at_error_rate, self._safety.stop_at_lag_seconds
        turns = self._safety.stop_after_seconds
        self._bad = self._bad + 1 if errors > share * max(answered, 1) else 0
        self._behind = self._behind + 1 if lag > most_lag else 0
        if self._bad >= turns:
            self.why = f"more than {share:.0%} errors for {turns} seconds"
        if self._behind >= turns:
            self.why = f"a standby was more than {most_lag:g} s behind for {turns} seconds"
        nothing = progress.p95_ms is None and progress.due > before.due
        for one in self._beyond:
            self._look(one, nothing or (progress.p95_ms is not None and not one.holds(progress.p95_ms)))
        return bool(self.why)

    def _look(self, criterion: Criterion, is_beyond: bool) -> None:
        """A condition that ends the run: beyond its limit for all of its window, after the grace."""
        self._beyond[criterion] = self._beyond[criterion] + 1 if is_beyond and self._seconds > criterion.grace else 0
        if self._beyond[criterion] >= max(criterion.window, 1):
            self.why = f"{criterion.text} did not hold for {max(criterion.window, 1)} s"
