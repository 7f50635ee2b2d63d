"""When a check becomes an alert, and when the alert is over: one transition, however the value trembles. Pure.

A rule fires when its check was over a limit for most of `for_seconds`, and is over when the value stayed beyond a clear
limit, which is easier to be sure of, for `calm_seconds`. In between nothing happens. What cannot be measured neither
fires nor clears a rule: it is an alert of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from wedsync_db.monitor.states import Checked, State
from wedsync_db.monitor.thresholds import Threshold

# With a sample a minute a value that trembles around its limit crosses it hundreds of times a day; to be over it most
# of the time, and a tenth below to clear, happens once: tests/unit/test_alerts.py
MOST = 0.8
_CLEAR = 0.9
CALM_SECONDS = 300
MISSING_SECONDS = 600
_REPEAT = timedelta(hours=24)
REACHABLE = "reachable"  # the parent of all others: with the server gone they would only repeat it


class Phase(enum.Enum):
    """Where an alert is."""

    QUIET = "quiet"
    FIRING = "firing"


@dataclass(frozen=True, slots=True)
class Alert:
    """What is remembered of one rule about one subject between two samples.

    `seen` are the samples of the last `for_seconds`: when, and how bad it was. `calm_since` is since when it has been
    well on the good side of its limit, `missing_since` since when it could not be measured.
    """

    rule: str
    subject: str = ""
    phase: Phase = Phase.QUIET
    state: State = State.HEALTHY
    since: datetime | None = None
    seen: tuple[tuple[datetime, State], ...] = ()
    calm_since: datetime | None = None
    missing_since: datetime | None = None
    notified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """Somebody's wish not to hear of something for a while, with the reason. Patterns as a shell's: `*`, `blocked`."""

    rule: str
    subject: str
    until: datetime
    reason: str
    author: str

    def covers(self, alert: Alert, now: datetime) -> bool:
        """Whether this alert is meant, and it is not over yet."""
        return now < self.until and fnmatchcase(alert.rule, self.rule) and fnmatchcase(alert.subject, self.subject)


@dataclass(frozen=True, slots=True)
class Notice:
    """What people are told: an alert that began, got worse, goes on or is over."""

    alert: Alert
    what: str  # firing, worse, still firing, resolved
    evidence: tuple[str, ...] = field(default=())


def step(
    alerts: Mapping[tuple[str, str], Alert],
    found: Iterable[Checked],
    thresholds: Mapping[str, Threshold],
    *,
    now: datetime,
    silences: Iterable[Silence] = (),
) -> tuple[Mapping[tuple[str, str], Alert], tuple[Notice, ...]]:
    """The alerts after one more look, and what to tell people about it.

    While the server cannot be reached every other alert stays as it is: nothing is known of it. A subject that is not
    found any more (a session that ended) counts as healthy.
    """
    looked = {(one.name, one.subject): one for one in found}
    after, notices = dict(alerts), []
    gone = _is_gone(looked)
    for key in sorted(looked.keys() | alerts.keys()):
        rule, subject = key
        threshold = thresholds.get(rule)
        if gone and rule != REACHABLE:
            continue
        alert = alerts.get(key, Alert(rule, subject))
        stepped = _stepped(alert, looked.get(key), threshold, now)
        told = _told(alert, stepped, now, tuple(silences))
        evidence = looked[key].evidence if key in looked else ()
        notices += [Notice(told, what, evidence) for what in _news(alert, stepped, told)]
        if told.phase is Phase.QUIET and key not in looked:
            after.pop(key, None)  # it is over, and what it was about is gone
        else:
            after[key] = told
    return after, tuple(notices)


def _is_gone(looked: Mapping[tuple[str, str], Checked]) -> bool:
    reachable = looked.get((REACHABLE, ""))
    return reachable is not None and reachable.state is not State.HEALTHY


def _stepped(alert: Alert, checked: Checked | None, threshold: Threshold | None, now: datetime) -> Alert:
    """The alert with one more sample in it."""
    state = checked.state if checked else State.HEALTHY
    lasting = threshold.for_seconds if threshold else 0
    seen = tuple((at, how) for at, how in (*alert.seen, (now, state)) if (now - at).total_seconds() <= lasting)
    calm = _is_calm(checked, threshold)
    measured = state is not State.UNKNOWN
    alert = replace(
        alert,
        seen=seen,
        calm_since=(alert.calm_since or now) if calm else None,
        missing_since=None if measured else alert.missing_since or now,
    )
    return _settled(alert, lasting, now)


def _settled(alert: Alert, lasting: int, now: datetime) -> Alert:
    """Whether it fires now, how badly, and since when."""
    worst = _lasting_state(alert, lasting, now)
    if worst is not State.HEALTHY and (alert.phase is Phase.QUIET or _is_worse(worst, alert.state)):
        since = now if alert.phase is Phase.QUIET else alert.since
        return replace(alert, phase=Phase.FIRING, state=worst, since=since)
    if alert.phase is Phase.FIRING and _is_over(alert, now):
        return replace(alert, phase=Phase.QUIET, state=State.HEALTHY, since=now, seen=())
    return alert


def _lasting_state(alert: Alert, lasting: int, now: datetime) -> State:
    """How bad it was for most of the time that counts; healthy as long as too little of it was seen."""
    if alert.missing_since and (now - alert.missing_since).total_seconds() >= MISSING_SECONDS:
        return State.UNKNOWN
    known = [how for _, how in alert.seen if how is not State.UNKNOWN]
    if not known or (now - alert.seen[0][0]).total_seconds() < lasting * MOST:
        return State.HEALTHY
    for state in (State.UNHEALTHY, State.DEGRADED):
        if sum(1 for how in known if how is state or _is_worse(how, state)) >= MOST * len(known):
            return state
    return State.HEALTHY


def _is_over(alert: Alert, now: datetime) -> bool:
    if alert.state is State.UNKNOWN:
        return alert.missing_since is None
    return alert.calm_since is not None and (now - alert.calm_since).total_seconds() >= CALM_SECONDS


def _is_calm(checked: Checked | None, threshold: Threshold | None) -> bool:
    """Whether it is well on the good side of its first limit, and not only just."""
    if checked is None:
        return True
    if checked.state is not State.HEALTHY:
        return False
    limit = checked.degraded if checked.degraded is not None else checked.unhealthy
    if checked.observed is None or limit is None or threshold is None:
        return True
    clear = clear_limit(threshold, limit)
    return checked.observed <= clear if threshold.higher_is_worse else checked.observed >= clear


def clear_limit(threshold: Threshold, limit: float) -> float:
    """Where a rule with this limit is over: a tenth on the good side of it, so that a tremble clears nothing."""
    if threshold.higher_is_worse:
        return limit * _CLEAR
    # a ratio cannot be better than 1: half of the way there is well enough
    return min(limit / _CLEAR, (limit + 1) / 2) if threshold.unit == "ratio" else limit / _CLEAR


def _told(before: Alert, after: Alert, now: datetime, silences: tuple[Silence, ...]) -> Alert:
    """The alert with the time people are told of it, where they are told now."""
    if after.phase is Phase.QUIET:
        return after
    due = before.phase is Phase.QUIET or _is_worse(after.state, before.state) or after.notified_at is None
    again = after.notified_at is not None and now - after.notified_at >= _REPEAT
    if not (due or again):
        return after
    if any(silence.covers(after, now) for silence in silences):
        return replace(after, notified_at=None)  # told when the silence ends, should it still be so
    return replace(after, notified_at=now)


def _news(before: Alert, stepped: Alert, told: Alert) -> Iterator[str]:
    """What is new to people: nothing about what they were never told."""
    if told.phase is Phase.QUIET:
        if before.phase is Phase.FIRING and before.notified_at is not None:
            yield "resolved"
    elif told.notified_at is not None and told.notified_at != stepped.notified_at:
        if before.notified_at is None or before.phase is Phase.QUIET:
            yield "firing"
        else:
            yield "worse" if _is_worse(stepped.state, before.state) else "still firing"


_WEIGHT = {State.HEALTHY: 0, State.UNKNOWN: 1, State.DEGRADED: 1, State.UNHEALTHY: 2}


def _is_worse(one: State, other: State) -> bool:
    return _WEIGHT[one] > _WEIGHT[other]
