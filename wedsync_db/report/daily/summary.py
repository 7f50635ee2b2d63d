"""What a person understands in ten seconds: how it is, what changed since yesterday, what needs somebody. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from wedsync_db.history.daily import Known
from wedsync_db.monitor.states import State, overall
from wedsync_db.monitor.thresholds import Threshold
from wedsync_db.report.daily.attention import TONES, what_needs_somebody
from wedsync_db.report.daily.facts import facts
from wedsync_db.report.daily.top import Now, Summary
from wedsync_db.report.daily.yesterday import changes, compared
from wedsync_db.report.markdown import counted

_STALE = timedelta(minutes=10)  # after so long without a sample nobody knows how it is


def summary(known: Known, now: Now, limits: Mapping[str, Threshold]) -> Summary:
    """How it is, what needs somebody, and what changed."""
    state = _state(known, now)
    attention = tuple(sorted(what_needs_somebody(known, now, limits), key=lambda one: one.tone != "bad"))
    tone = "bad" if any(one.tone == "bad" for one in attention) else "warn" if attention else TONES[state]
    if state is State.UNHEALTHY:
        tone = "bad"
    needs = counted(len(attention), "thing") + (" needs" if len(attention) == 1 else " need") + " somebody"
    line = f"{state.value.capitalize()}; {needs if attention else 'nothing needs anybody'}"
    return Summary(
        state, tone, line, attention, tuple(facts(known, now, limits)), tuple(compared(known)), tuple(changes(known))
    )


def _state(known: Known, now: Now) -> State:
    """By what was looked at just now; else by the alerts, where somebody still looks and nothing says otherwise."""
    if now.found is not None:
        return overall(now.found)
    if known.fast.empty or known.until - known.fast.index[-1].to_pydatetime() > _STALE:
        return State.UNKNOWN
    states = {State(one.state) for one in known.firing}
    worst = next((s for s in (State.UNHEALTHY, State.DEGRADED, State.UNKNOWN) if s in states), State.HEALTHY)
    if worst is State.HEALTHY and now.problem:
        return State.UNKNOWN
    return State.DEGRADED if worst is State.UNKNOWN else worst
