"""The four states of health, and what they come to together. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class State(enum.Enum):
    """How something is. UNKNOWN is what could not be looked at: never healthy."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check found. `observed` and the limits are in `unit`; `evidence` are lines for people, no row values.

    `subject` says what it is about where a check may find several: a table, a slot, a session. `asked` is False where
    there is nothing to ask, and the evidence says why: a replica has no counters of dead rows.
    """

    name: str
    state: State
    observed: float | None
    unit: str
    evidence: tuple[str, ...] = ()
    subject: str = ""
    degraded: float | None = None
    unhealthy: float | None = None
    runbook: str = ""
    asked: bool = True


# what monitoring plugins end with
EXIT_CODES = {State.HEALTHY: 0, State.DEGRADED: 1, State.UNHEALTHY: 2, State.UNKNOWN: 3}


def overall(found: Iterable[Checked]) -> State:
    """The state of the whole: the worst, where what is unknown weighs as much as what is degraded.

    Nothing but unknown is unknown; nothing at all, too.
    """
    states = {one.state for one in found}
    if State.UNHEALTHY in states:
        return State.UNHEALTHY
    if states <= {State.UNKNOWN}:
        return State.UNKNOWN
    return State.DEGRADED if states & {State.DEGRADED, State.UNKNOWN} else State.HEALTHY
