"""What each of several generators does of one run, and how it is told; and when, by its own clock. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from wedsync_db.errors import UsageError
from wedsync_db.load.measure import doubts
from wedsync_db.load.options import MOST_SHARDS, Options
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import schedule
from wedsync_db.load.summary import Summary


@dataclass(frozen=True, slots=True)
class Probe:
    """One question for the server's clock: when it was asked and answered, by ours, and what was said."""

    asked: float
    said: float
    answered: float


def require_shards(scenario: Scenario, options: Options) -> None:
    """Make sure that a scenario can be split up among so many.

    Raises:
        UsageError: there are too many of them, or pgbench is to send.
    """
    shards = options.shards
    if not 1 <= shards <= MOST_SHARDS:
        raise UsageError(f"--shards is 1 to {MOST_SHARDS}")
    if shards > scenario.pool:
        raise UsageError(f"{shards} shards cannot share a pool of {scenario.pool}", hint="Each needs a connection.")
    if shards > 1 and (options.engine != "threads" or options.calibrate):
        raise UsageError("shards send with threads of our own", hint="pgbench, and --calibrate, are for one machine.")
    if shards > 1 and options.copy:
        raise UsageError("no other machine reaches a scratch server of ours", hint="--copy is for one machine.")


def part_of(scenario: Scenario, number: int, of: int) -> Scenario:
    """The scenario with the connections of one shard, counted from 0: all together have no more than one alone."""
    clients = scenario.clients and len(range(number, scenario.clients, of))
    return replace(scenario, pool=len(range(number, scenario.pool, of)), clients=clients)


def to_plain(scenario: Scenario) -> dict[str, Any]:
    """The scenario as JSON has it, for a machine that may have other files."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(scenario)))
    return plain


def from_plain(plain: Mapping[str, Any]) -> Scenario:
    """What `to_plain` made."""
    made: Scenario = _made(Scenario, plain)
    return made


def _made(kind: Any, plain: Any) -> Any:
    """A value of this type: JSON has no tuples and no classes of ours."""
    of = get_args(kind)
    if plain is None:
        return None
    if is_dataclass(kind):
        kinds = get_type_hints(kind)
        return kind(**{name: _made(kinds[name], value) for name, value in plain.items()})  # type: ignore[operator]
    if get_origin(kind) is tuple:
        return tuple(_made(of[0], one) for one in plain)
    if get_origin(kind) is Mapping:
        return {name: _made(of[1], one) for name, one in plain.items()}
    if get_origin(kind) is UnionType:
        return _made(next(one for one in of if one is not NoneType), plain)
    return plain


def schedule_digest(scenario: Scenario, seed: int) -> str:
    """Tells whether two machines compute the same schedule; to the microsecond, which is what is measured."""
    whole = schedule(scenario.phases, [one.share for one in scenario.scripts], scenario.users, seed)
    due = np.rint(whole.due * 1e6).astype("<i8")
    parts = (due, whole.script.astype("<i2"), whole.user.astype("<i4"))
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def by_our_clock(moment: float, probes: Sequence[Probe]) -> tuple[float, float]:
    """A moment of the server's clock by ours, and how far off that may be, in seconds: half of the quickest answer."""
    best = min(probes, key=lambda one: one.answered - one.asked)
    return moment - best.said + (best.asked + best.answered) / 2, (best.answered - best.asked) / 2


def together(scenario: Scenario, parts: Sequence[Summary], workers: Sequence[str]) -> Summary:
    """The run that these are the parts of. Each generator is judged by itself: many good ones hide no bad one."""
    many = len(parts)
    found = [
        f"shard {number} of {many} ({worker}): {doubt}"
        for number, (part, worker) in enumerate(zip(parts, workers, strict=True), 1)
        for doubt in doubts(scenario.criteria, part)
    ]
    return replace(Summary.sum(parts), problems=tuple(found))
