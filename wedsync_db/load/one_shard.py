"""One of several generators of a run: what it is to do it finds beside the target, and its result goes there, too."""

from __future__ import annotations

import time
from collections.abc import Callable

from wedsync_db.errors import Inconclusive, Refused
from wedsync_db.installation import Installation
from wedsync_db.load.board import Order, Place, place
from wedsync_db.load.engine import run
from wedsync_db.load.feasible import cost_of_sending, require_rate
from wedsync_db.load.permitted import require_marked
from wedsync_db.load.shard_plan import Probe, by_our_clock, part_of, schedule_digest
from wedsync_db.load.summary import Cell, Summary, summary_of

_POLL_SECONDS = 0.2
_PROBES = 5  # of the server's clock, at least
_NEWEST = 20  # those of the last seconds: clocks drift
_NOTICE_SECONDS = 0.1  # the generator's processes have to hear of the start before it


def take_part(
    installation: Installation,
    environment: str,
    ticket: str,
    number: int,
    *,
    worker: str,
    say: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Be one shard, counted from 1, of the load test that is under way beside an environment's target.

    Raises:
        Refused: there is no such test, the environment is not for load tests, or this shard is taken.
        Unreachable: its connections are not to be had.
        Inconclusive: the test ended meanwhile, or this machine is of no use for it.
    """
    require_marked(installation.environment(environment))
    with installation.target(environment) as target, place(target, ticket, number) as there:
        order = there.order()
        if order is None or not 1 <= number <= order.shards:
            raise Refused(f"the load test has no shard {number}", hint="`load-test --shards` starts the runs of them.")
        there.join(worker)
        with there.failing():
            found = _take_part(there, order, number, say)
            there.give(found)
            return found


def _take_part(there: Place, order: Order, number: int, say: Callable[[str], None]) -> Summary:
    if schedule_digest(order.scenario, order.seed) != order.schedule:
        raise Inconclusive(
            "this machine computes another schedule than the coordinator's",
            hint="Is the same release installed on both, from the same requirements.lock?",
        )
    part = (number - 1, order.shards)
    scenario = part_of(order.scenario, *part)
    require_rate(scenario, cost_of_sending(scenario), order.shards)
    say(f"shard {number} of {order.shards}: {scenario.title}, {scenario.pool} connections")
    measured = run(
        scenario, there.address, seed=order.seed, part=part, start=lambda: _start(there, say), tell=there.report
    )
    return summary_of(measured)


def _start(there: Place, say: Callable[[str], None]) -> float:
    """Say that we are ready, and wait to be told when to begin; that moment, by the monotonic clock.

    Raises:
        Inconclusive: the moment is over already.
    """
    there.ready()
    probes: list[Probe] = []
    at = None
    while at is None or len(probes) < _PROBES:
        if at is None:
            time.sleep(_POLL_SECONDS)
        asked = time.monotonic()
        at, now = there.starts()
        probes.append(Probe(asked, now, time.monotonic()))
    begin, error = by_our_clock(at, probes[-_NEWEST:])
    if begin < time.monotonic() + _NOTICE_SECONDS:
        raise Inconclusive("it heard too late of the start", hint="Is the machine very busy, or far from the server?")
    say(f"it begins with the others, give or take {error * 1000:.1f} ms")
    return begin


def shard_line(found: Summary) -> str:
    """What a shard did, in a line."""
    all_of_it = Cell.sum(found.cells.values())
    return f"{all_of_it.answered} answered of {all_of_it.arrivals} that were its own"
