"""What an observed value comes to, by its limits. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wedsync_db.monitor.states import Checked, State
from wedsync_db.monitor.thresholds import Threshold

RUNBOOK = "docs/runbooks/health.md"


def judge(
    name: str,
    threshold: Threshold,
    observed: float | None,
    evidence: str = "",
    *,
    subject: str = "",
    at_least: State = State.HEALTHY,
) -> Checked:
    """One observation as a check; None is unknown. It is as bad as `at_least`, whatever the value is."""
    state = _state(threshold, observed)
    return Checked(
        name,
        state if _WEIGHT[state] > _WEIGHT[at_least] else at_least,
        observed,
        threshold.unit,
        (evidence,) if evidence else (),
        subject,
        threshold.degraded,
        threshold.unhealthy,
        f"{RUNBOOK}#{name.replace('_', '-')}",
    )


def unknown(name: str, threshold: Threshold, why: str) -> Checked:
    """A check that could not be made, and why."""
    return judge(name, threshold, None, why)


def not_asked(name: str, threshold: Threshold, why: str) -> Checked:
    """A check that has nothing to look at here, and why: neither a fault nor unknown."""
    return replace(judge(name, threshold, None, why), state=State.HEALTHY, asked=False)


def worst(found: Iterable[Checked]) -> tuple[Checked, ...]:
    """Every check with what is wrong with it, the worst first; one line for a check where nothing is."""
    chosen: dict[str, list[Checked]] = {}
    for one in found:
        chosen.setdefault(one.name, []).append(one)
    flat = [bad for several in chosen.values() for bad in _bad(several) or several[:1]]
    return tuple(sorted(flat, key=lambda one: -_WEIGHT[one.state]))


_WEIGHT = {State.HEALTHY: 0, State.UNKNOWN: 1, State.DEGRADED: 2, State.UNHEALTHY: 3}


def _bad(several: list[Checked]) -> list[Checked]:
    return [one for one in several if one.state is not State.HEALTHY]


def _state(threshold: Threshold, observed: float | None) -> State:
    if observed is None:
        return State.UNKNOWN
    if _is_beyond(threshold.unhealthy, observed, threshold):
        return State.UNHEALTHY
    return State.DEGRADED if _is_beyond(threshold.degraded, observed, threshold) else State.HEALTHY


def _is_beyond(limit: float | None, observed: float, threshold: Threshold) -> bool:
    if limit is None:
        return False
    return observed > limit if threshold.higher_is_worse else observed < limit
