"""One run by several generators on machines of their own: started, awaited, begun at one moment, added up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from wedsync_db.errors import Inconclusive
from wedsync_db.load.board import Board, Seat, board
from wedsync_db.load.options import LOAD_POOL
from wedsync_db.load.processes import added_up
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.shard_plan import together
from wedsync_db.load.summary import Summary
from wedsync_db.load.worker import Progress
from wedsync_db.postgres.session import Address

READY_SECONDS = 180.0  # a worker looks for runs every ten seconds, and a busy machine starts them slowly
_LEAD_SECONDS = 1.5  # from when all are ready: each has to hear of it, over the network
_POLL_SECONDS, _TELL_SECONDS = 0.25, 1.0
_END_SECONDS = 70.0  # after the last arrival: answers that are late, and what was measured on its way to us
_START_ONE = f"On each machine: prefect worker start --pool {LOAD_POOL} --type process --limit 1"
_ITS_RUN = "Its own run in Prefect says more."


@dataclass(frozen=True, slots=True)
class Shards:
    """How many, and how they are started: with a ticket, by which each finds the run. What is left is called off."""

    count: int
    start: Callable[[str], AbstractContextManager[None]]


def run_in_shards(
    scenario: Scenario,
    address: Address,
    shards: Shards,
    *,
    seed: int,
    tell: Callable[[Progress], bool],
    idle: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda _: None,
) -> Summary:
    """One run of a scenario, each shard with its arrivals of the same schedule and its part of the pool.

    Args:
        scenario: What to do.
        address: The load test's database.
        shards: How many there are to be, and how to start them.
        seed: The schedule and all that is drawn come from this.
        tell: Gets the sum of their progress about once a second; what says False ends the run.
        idle: Called every now and then while they are awaited; what it raises ends that.
        say: Gets what happens, in a line.

    Raises:
        Inconclusive: one did not come in time, failed, or was lost; the others are told to stop.
        Unreachable: the database lost us.
    """
    with board(address, scenario, seed, shards.count) as there, shards.start(there.ticket):
        seats = _ready(there, idle)
        workers = [seat.worker for seat in seats]
        say(f"{shards.count} shards are ready: {', '.join(workers)}")
        began = time.time() + there.begin(_LEAD_SECONDS)
        parts = _measured(there, _LEAD_SECONDS + scenario.seconds + _END_SECONDS, tell)
    return replace(together(scenario, parts, workers), began=began)


def _ready(there: Board, idle: Callable[[], None]) -> tuple[Seat, ...]:
    """All shards, once they have their connections."""
    deadline, look = time.monotonic() + READY_SECONDS, _Look(there)
    while True:
        seats = look()
        if len(seats) == there.shards and all(seat.state == "ready" for seat in seats):
            return seats
        if time.monotonic() > deadline:
            raise _not_there(there.shards, seats)
        idle()
        time.sleep(_POLL_SECONDS)


def _measured(there: Board, seconds: float, tell: Callable[[Progress], bool]) -> list[Summary]:
    """What they measured, once all are done."""
    deadline, look, stopped = time.monotonic() + seconds, _Look(there), False
    while True:
        time.sleep(_TELL_SECONDS)
        seats = look()
        if all(seat.state == "done" for seat in seats):
            return there.results()
        if time.monotonic() > deadline:
            late = next(seat for seat in seats if seat.state != "done")
            raise Inconclusive(f"{_name(late, there)} does not come to an end", hint=_ITS_RUN)
        if not tell(added_up([seat.progress for seat in seats])) and not stopped:
            there.stop()
            stopped = True


class _Look:
    """Looks at the board, and finds out whom it has lost."""

    def __init__(self, there: Board) -> None:
        self._there = there
        self._missing: set[int] = set()

    def __call__(self) -> tuple[Seat, ...]:
        """Those that came so far.

        Raises:
            Inconclusive: one failed, or is gone.
        """
        seats = self._there.look()
        gone = {seat.number: seat for seat in seats if seat.state in ("joined", "ready") and not seat.lives}
        for seat in seats:
            if seat.state == "failed":
                raise Inconclusive(f"{_name(seat, self._there)} failed: {seat.problem}", hint=_ITS_RUN)
        for number in gone.keys() & self._missing:  # seen twice: it may have ended while we looked
            raise Inconclusive(
                f"{_name(gone[number], self._there)} was lost",
                hint="Was it killed, or its machine cut off? What it measured is lost: run again.",
            )
        self._missing = set(gone)
        return seats


def _not_there(shards: int, seats: Sequence[Seat]) -> Inconclusive:
    missing = sorted({*range(1, shards + 1)} - {seat.number for seat in seats if seat.state == "ready"})
    return Inconclusive(
        f"shard {', '.join(map(str, missing))} of {shards} was not ready within {READY_SECONDS:.0f} s",
        hint=f"Is there a worker for each? {_START_ONE}",
    )


def _name(seat: Seat, there: Board) -> str:
    return f"shard {seat.number} of {there.shards} ({seat.worker})"
