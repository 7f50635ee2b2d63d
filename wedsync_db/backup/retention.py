"""Which backups may go. Pure: it says what and why, and deletes nothing.

By time and never by count, as two nights of bad backups must not push the good one out; and measured from the newest
good backup, not from the clock, as a clock that jumps must not empty the store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from wedsync_db.settings import RetentionSettings

# files written; files read back; restored and compared; the last of either found it wrong
Progress = Literal["complete", "verified", "restored", "failed"]
_GOOD = ("verified", "restored")
UNKNOWN = "the target cannot be asked which of them an open deployment may need"
_SKEW = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished backup, and how far it is proven."""

    id: str
    created_at: datetime
    progress: Progress


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a backup stays, and why, in words for people."""

    id: str
    stays: bool
    reason: str


def judge(
    stored: Sequence[Stored], settings: RetentionSettings, *, now: datetime, pinned: Collection[str] | None = ()
) -> tuple[Verdict, ...]:
    """A verdict for each backup, oldest first. `pinned` are those that an open deployment may need; None: not known."""
    ordered = sorted(stored, key=lambda one: (one.created_at, one.id))
    if why := UNKNOWN if pinned is None else _not_now(ordered, now):
        return tuple(Verdict(one.id, stays=True, reason=why) for one in ordered)
    reasons = _reasons(ordered, settings, pinned or ())
    newest = next(one for one in reversed(ordered) if one.progress in _GOOD)
    gone = f"older than {settings.keep_days} days, and its week and month have a newer one"
    return tuple(
        Verdict(one.id, stays=True, reason=reasons[one.id])
        if one.id in reasons
        else Verdict(one.id, stays=False, reason=f"{gone}; the newest good one is {newest.id}")
        for one in ordered
    )


def _not_now(ordered: Sequence[Stored], now: datetime) -> str:
    """Why nothing at all may go."""
    if not any(one.progress != "complete" for one in ordered):
        return "no backup has been verified yet"
    if ordered[-1].progress == "complete":
        return "the newest backup is not verified yet: nothing goes before it is"
    if ordered[-1].progress == "failed":
        return "the newest backup is no good: nothing goes before there is another"
    if ordered[-1].created_at > now + _SKEW:
        return "the newest backup is from the future: a clock is wrong"
    return ""


def _reasons(ordered: Sequence[Stored], settings: RetentionSettings, pinned: Collection[str]) -> dict[str, str]:
    """Why each backup that stays does so; the strongest reason of several."""
    good = [one for one in reversed(ordered) if one.progress in _GOOD]
    since = good[0].created_at - timedelta(days=settings.keep_days)
    reasons = {one.id: f"younger than {settings.keep_days} days" for one in ordered if one.created_at > since}
    for one in _newest_of_each(good, lambda at: (at.year, at.month), settings.keep_months):
        reasons[one.id] = f"the newest of {one.created_at:%B %Y}"
    for one in _newest_of_each(good, lambda at: tuple(at.isocalendar())[:2], settings.keep_weeks):
        reasons[one.id] = f"the newest of week {one.created_at:%V of %G}"
    for one in (o for o in good if o.progress == "restored"):
        reasons[one.id] = "the newest that was restored and compared"
        break
    reasons[good[0].id] = "the newest that is verified"
    return reasons | {one.id: "an open deployment may need it" for one in ordered if one.id in pinned}


def _newest_of_each(good: Sequence[Stored], bucket: Callable[[datetime], Hashable], most: int) -> Sequence[Stored]:
    """The newest of each week or month, of so many that have one; `good` is newest first."""
    first: dict[Hashable, Stored] = {}
    for one in good:
        first.setdefault(bucket(one.created_at), one)
    return tuple(first.values())[:most]
