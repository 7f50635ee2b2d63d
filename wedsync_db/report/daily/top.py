"""The parts of the report's top, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wedsync_db.monitor.states import Checked, State
from wedsync_db.report.daily.runbook import FILE

Tone = Literal["good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Now:
    """What was looked at when the report was made. `found` is None where it was not; `free_bytes` are of its disk.

    `unread` is what could not be read there, and why.
    """

    found: tuple[Checked, ...] | None = None
    free_bytes: int | None = None
    problem: str = ""
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that needs somebody; `runbook` is a section of docs/runbooks/health.md, or a page beside it."""

    tone: Tone
    text: str
    runbook: str = ""

    @property
    def where(self) -> str:
        """Where to read on, as a path in the checkout; empty where nothing is written about it."""
        if not self.runbook:
            return ""
        return f"docs/runbooks/{self.runbook}" if self.runbook.endswith(".md") else f"{FILE}#{self.runbook}"


@dataclass(frozen=True, slots=True)
class Fact:
    """One of the few figures at the top."""

    label: str
    value: str
    more: str = ""
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure of the last 24 hours beside that of the 24 hours before."""

    label: str
    today: str
    before: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The top of the page."""

    state: State
    tone: Tone
    line: str
    attention: tuple[Attention, ...]
    facts: tuple[Fact, ...]
    compared: tuple[Compared, ...]
    changes: tuple[str, ...]
