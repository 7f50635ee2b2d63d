"""A night's result."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from wedsync_db.maintain.findings import Findings
from wedsync_db.maintain.plan import LeftAlone
from wedsync_db.maintain.upkeep import Kept
from wedsync_db.maintain.work import Done


@dataclass(frozen=True, slots=True)
class Night:
    """What was done to one environment, what was left and why, and what somebody should look at."""

    environment: str
    started_at: datetime
    finished_at: datetime
    backup_id: str | None
    done: tuple[Done, ...] = ()
    left: tuple[LeftAlone, ...] = ()
    kept: tuple[Kept, ...] = ()
    findings: Findings = field(default_factory=lambda: Findings(()))
    problems: tuple[str, ...] = ()

    @property
    def outcome(self) -> Literal["done", "yielded", "failed"]:
        """The worst of all: a table without a right or a lock is told, and no failure of the night."""
        outcomes = {one.outcome for one in self.done} | {one.outcome for one in self.kept}
        if "failed" in outcomes:
            return "failed"
        return "yielded" if "yielded" in outcomes else "done"

    def counted(self) -> Counter[str]:
        """How many tables ended how, those left alone by their reason."""
        return Counter([one.outcome for one in self.done] + [one.reason for one in self.left])
