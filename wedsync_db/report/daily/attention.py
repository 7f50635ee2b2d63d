"""What needs somebody, and where to read on. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta

from wedsync_db.history import buckets
from wedsync_db.history.daily import Known
from wedsync_db.monitor.alerts import REACHABLE
from wedsync_db.monitor.states import Checked, State
from wedsync_db.monitor.thresholds import Threshold
from wedsync_db.report.daily.by_day import newest
from wedsync_db.report.daily.facts import ids_a_day
from wedsync_db.report.daily.top import Attention, Now, Tone
from wedsync_db.report.daily.words import age, counted_short, no_data, percent
from wedsync_db.report.health import shown
from wedsync_db.report.markdown import size

_DAY = timedelta(days=1)
_SOON_DAYS, _VERY_SOON_DAYS = 30, 7
_KEY_DAYS = 180
_NIGHT_LATE = timedelta(hours=36)
TONES: Mapping[State, Tone] = {
    State.HEALTHY: "good",
    State.DEGRADED: "warn",
    State.UNKNOWN: "warn",
    State.UNHEALTHY: "bad",
}
_ENDS: Mapping[str, tuple[str, Tone, str]] = {
    "person_needed": ("waits for a person", "bad", "4-person-needed.md"),
    "failed": ("could not be rolled back", "bad", "5-inconclusive.md"),
    "rolled_back": ("was rolled back", "warn", "1-failed.md"),
    "running": ("has not ended since it began", "warn", "5-inconclusive.md"),
}


def what_needs_somebody(known: Known, now: Now, limits: Mapping[str, Threshold]) -> Iterator[Attention]:
    """All of it: what is not well, what will not be, what did not happen, what could not be read."""
    yield from _unwell(known, now)
    yield from _of_disk(known, now)
    yield from _of_ids(known, limits)
    yield from _of_keys(known)
    if now.found is None:
        yield from _of_backups(known, limits)
    yield from _of_nights(known)
    yield from _of_deployments(known)
    yield from _of_measuring(known)
    for problem in (*known.problems, *([now.problem] if now.problem else [])):
        yield Attention("warn", problem)


def _unwell(known: Known, now: Now) -> Iterator[Attention]:
    if now.found is None:
        for alert in known.firing:
            about = f" ({alert.subject})" if alert.subject else ""
            since = f" since {alert.since:%-d %b %H:%M}" if alert.since else ""
            tone: Tone = "bad" if alert.state == State.UNHEALTHY.value else "warn"
            yield Attention(tone, f"{alert.rule}{about} is {alert.state}{since}", _anchor(alert.rule))
        return
    for one in now.found:
        if one.state is not State.HEALTHY:
            yield Attention(TONES[one.state], _checked(one), _anchor(one.name))


def _checked(one: Checked) -> str:
    about = f" ({one.subject})" if one.subject else ""
    value = f": {shown(one.observed, one.unit)}" if one.observed is not None else ""
    return f"{one.name}{about} is {one.state.value}{value}{''.join(f'; {line}' for line in one.evidence[:2])}"


def _of_disk(known: Known, now: Now) -> Iterator[Attention]:
    if not known.growth or now.free_bytes is None:
        return
    soonest, likely = known.growth.days_until(known.growth.level + now.free_bytes)
    if soonest > _SOON_DAYS:
        return
    tone: Tone = "bad" if soonest < _VERY_SOON_DAYS else "warn"
    about = f"most likely in {likely:.0f}" if likely < 10 * _SOON_DAYS else "perhaps never"
    yield Attention(
        tone,
        f"The disk has {size(now.free_bytes)} left: full in {soonest:.0f} days at the earliest, {about}",
        "disk-free",
    )


def _of_ids(known: Known, limits: Mapping[str, Threshold]) -> Iterator[Attention]:
    limit = limits["wraparound"].degraded if "wraparound" in limits else None
    current, daily = buckets.newest_of(known.fast, "oldest_xid_age"), ids_a_day(known)
    if limit is None or current is None or daily is None or daily <= 0 or current >= limit:
        return
    days = (limit - current) / daily
    if days <= _SOON_DAYS:
        text = f"Transaction ids: {counted_short(limit)} unfrozen in {days:.0f} days, at {counted_short(daily)} a day"
        yield Attention("warn", text, "wraparound")


def _of_keys(known: Known) -> Iterator[Attention]:
    """A key that runs out takes months to be made larger without standing still."""
    for key in known.keys:
        soonest, likely = key.growth.days_until(1.0) if key.growth else (math.inf, math.inf)
        if soonest <= _KEY_DAYS:
            about = f", most likely in {likely:.0f}" if likely < 10 * _KEY_DAYS else ""
            text = f"Key {key.name} ({percent(key.used)} used) runs out in {soonest:.0f} days at the earliest{about}"
            yield Attention("bad" if soonest <= _SOON_DAYS else "warn", text, "sequence")


def _of_backups(known: Known, limits: Mapping[str, Threshold]) -> Iterator[Attention]:
    """By the registry, where nobody could look at the backups themselves."""
    asked = (
        ("backup_age", ("complete", "verified", "restored"), "backup", "No complete backup is known"),
        ("drill_age", ("restored",), "restored backup", "No backup was ever restored and compared"),
    )
    for name, states, what, none in asked:
        if name not in limits:
            continue
        at = newest(known.backups, states)
        if at is None:
            yield Attention("bad", none, _anchor(name))
            continue
        seconds, limit = (known.until - at).total_seconds(), limits[name]
        if limit.degraded is not None and seconds > limit.degraded:
            bad = limit.unhealthy is not None and seconds > limit.unhealthy
            yield Attention(
                "bad" if bad else "warn", f"The newest {what} is {age(known.until - at)} old", _anchor(name)
            )


def _of_nights(known: Known) -> Iterator[Attention]:
    if not known.nights:
        return
    last = known.nights[-1]
    if known.until - last.finished_at > _NIGHT_LATE:
        yield Attention("warn", f"The last nightly maintenance was {age(known.until - last.finished_at)} ago")
    elif last.outcome == "failed":
        yield Attention("bad", f"The last night failed: {last.summary}", "failed-drill.md")


def _of_deployments(known: Known) -> Iterator[Attention]:
    """Those of the last day, and the newest for as long as it waits."""
    for number, one in enumerate(known.deployments, 1):
        if one.outcome not in _ENDS:
            continue
        recent = known.until - (one.finished_at or one.started_at) < _DAY
        waits = one is known.deployments[-1] and one.outcome != "rolled_back"
        if (waits and not recent) if one.outcome == "running" else (recent or waits):
            said, tone, page = _ENDS[one.outcome]
            yield Attention(tone, f"Deployment D{number} {said}", page)


def _of_measuring(known: Known) -> Iterator[Attention]:
    if known.fast.empty:
        yield Attention("warn", "Nothing was measured in this time: does the flow `monitor` run?")
        return
    missing = buckets.gaps(known.fast, known.until)
    recent = [gap for gap in missing if gap.until > known.until - _DAY]
    if recent and recent[-1].until == known.until:
        silent = age(known.until - recent[-1].since)
        yield Attention("bad", f"Nothing was measured for {silent}: does the flow `monitor` run?", _anchor(REACHABLE))
    elif recent:
        yield Attention("warn", no_data(recent), _anchor(REACHABLE))


def _anchor(check: str) -> str:
    return check.replace("_", "-")
