"""What weddings that are near come to: the database says which there are, this weighs them against the work. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from wedsync_db.guard.impact import Reason
from wedsync_db.model import Finding, Severity


class Verdict(enum.StrEnum):
    """What ops.deploy_window() says of a time: nobody is near, somebody is, or it is not the time for anything."""

    OPEN = "open"
    RESTRICTED = "restricted"
    CLOSED = "closed"

    @classmethod
    def _missing_(cls, value: object) -> Verdict:  # noqa: ARG003 - the protocol's
        """An answer that is not understood is a no."""
        return cls.CLOSED


@dataclass(frozen=True, slots=True)
class Window:
    """The answer of ops.deploy_window(). `next_open` is None where no such window begins within two weeks."""

    verdict: Verdict
    reasons: tuple[str, ...]
    weddings_locked: int
    organizations_touched: int
    next_release: datetime | None
    next_open: datetime | None


def weigh(window: Window, heavy: Sequence[Reason], allowed: int, zone: ZoneInfo) -> Iterator[Finding]:
    """What speaks against this work in this window: nothing where it is open, and everything where it is closed.

    Between the two, work that is additive (`heavy` is empty) may meet `allowed` locked weddings, other work none.
    `zone` is the one to tell times in.
    """
    if window.verdict is Verdict.OPEN:
        return
    near = ", and ".join(window.reasons)
    if window.verdict is Verdict.CLOSED:
        yield Finding("weddings", Severity.ERROR, near, _way_out(window, zone))
    elif heavy:
        first = heavy[0]
        text = f"{near}, and {first.migration} is {first.impact}: it {first.why}"
        yield Finding("weddings", Severity.ERROR, text, _way_out(window, zone))
    elif window.weddings_locked > allowed:
        text = f"{near} ({window.organizations_touched} suppliers), and {allowed} may be while migrations run"
        yield Finding("weddings", Severity.ERROR, text, _way_out(window, zone))
    else:
        yield Finding("weddings", Severity.NOTE, f"{near}; what these migrations do, nobody notices")


def _way_out(window: Window, zone: ZoneInfo) -> str:
    if window.weddings_locked == 0:
        return "Ask who closed the platform, and when it opens"
    if window.next_open is not None:
        return f"No wedding is near from {at(window.next_open, zone)} on"
    first = f"; the first lock ends on {at(window.next_release, zone)}" if window.next_release else ""
    return f"For two weeks there is always a wedding near{first}"


def at(moment: datetime, zone: ZoneInfo) -> str:
    """A time as findings tell it: `Sat 2027-06-12 18:00 BST`."""
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"
