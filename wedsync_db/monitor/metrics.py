"""What is measured of a server, and how two samples become rates. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Kind = Literal["counter", "gauge"]
Tier = Literal["fast", "tables", "sizes", "nightly"]  # every minute, five minutes, hour, night


@dataclass(frozen=True, slots=True, order=True)
class Metric:
    """One series. The name is without prefix, as `connections` or `xact_commit`.

    `unit` is bytes, seconds, ratio (0 to 1), transactions, or a plural of what is counted. Labels are few and bounded:
    a table's name at most, never a tenant, a query's text or its id.
    """

    name: str
    kind: Kind
    unit: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one tier at one time. None is a value that could not be read: it is not zero.

    `epoch` changes whenever counters began anew: another server, a restart, a crash, a reset of statistics. Nothing may
    be subtracted across epochs. `problems` say in words what could not be read, and why. `memory` is for the next look
    at the same tier: opaque, as what each table did so far; empty where nothing has to be remembered.
    """

    at: datetime
    tier: Tier
    epoch: str
    values: Mapping[Metric, float | None]
    problems: tuple[str, ...] = ()
    memory: str = field(default="", compare=False, repr=False)


def deltas(before: Sample, after: Sample) -> Mapping[Metric, float]:
    """What each counter grew by between two samples; one that is missing, unknown or fell is left out.

    Nothing at all across epochs, or where time did not go forward.
    """
    if before.epoch != after.epoch or after.at <= before.at:
        return {}
    grown = {}
    for metric, value in after.values.items():
        earlier = before.values.get(metric)
        if metric.kind == "counter" and value is not None and earlier is not None and value >= earlier:
            grown[metric] = value - earlier
    return grown


def rates(before: Sample, after: Sample) -> Mapping[Metric, float]:
    """`deltas` by the second."""
    seconds = (after.at - before.at).total_seconds()
    return {metric: grown / seconds for metric, grown in deltas(before, after).items()}
