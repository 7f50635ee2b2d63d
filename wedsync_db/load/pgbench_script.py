"""A scenario as pgbench reads it: its scripts, their weights, and a run in steps of one rate each. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Phase, placed
from wedsync_db.load.scripts import FEW, TENANT, TENANTS, USER, Draw, Script, statements_of

_MOST_STEPS, _STEP_SECONDS = 5, 2.0  # of a ramp
_WEIGHTS = 10_000  # pgbench's are whole numbers


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run at one rate: arrivals a second, from when on and for how long, in seconds."""

    begin: float
    seconds: float
    rate: float


def steps_of(phases: Sequence[Phase]) -> tuple[Step, ...]:
    """The parts of a run, each at one rate: a ramp becomes at most five, each at its own mean."""
    found = []
    for phase, begin, _ in placed(phases):
        level = phase.rate == phase.rate_at_end
        many = 1 if level else max(1, min(_MOST_STEPS, int(phase.seconds / _STEP_SECONDS)))
        for number in range(many):
            rate = phase.rate + (phase.rate_at_end - phase.rate) * (number + 0.5) / many
            found.append(Step(begin + phase.seconds * number / many, phase.seconds / many, rate))
    return tuple(found)


def script_text(script: Script, scenario: Scenario) -> str:
    r"""What is drawn, then prelude and statements in one message (`\;`)."""
    drawn = [
        f"\\set {USER} random(0, {scenario.users - 1})",
        f"\\set {TENANTS} {scenario.tenants}",
        f"\\set {TENANT} :{USER} % :{TENANTS}",
        *(f"\\set {name} {_drawn(draw)}" for name, draw in script.draws.items()),
    ]
    message = "\n\\;\n".join(statements_of(script, scenario.prelude))  # on lines of their own: comments end there
    return "\n".join([*drawn, message, ";", ""])


def weights_of(scripts: Sequence[Script]) -> tuple[int, ...]:
    """Their shares as whole numbers, at least one each."""
    total = math.fsum(script.share for script in scripts)
    return tuple(max(1, round(_WEIGHTS * script.share / total)) for script in scripts)


def _drawn(draw: Draw) -> str:
    if draw.shape == "few":
        return f"random_zipfian({draw.least}, {draw.most}, {FEW})"
    return f"random({draw.least}, {draw.most})"
