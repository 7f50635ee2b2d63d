"""What a scenario asks of the pool, said before it runs, and whether this machine can send so much at all."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence

from wedsync_db.errors import Refused
from wedsync_db.load.measure import MOST_CPU
from wedsync_db.load.processes import processes_of
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import highest_rate, mean_rate
from wedsync_db.load.scripts import TENANT, TENANTS, USER, Composer

_COMFORTABLE = 0.80  # how busy a pool may be before waiting for it grows steeply
_TRIES, _TRY_SECONDS = 10, 0.01
# An arrival costs so many times what it takes to make its message and pass it through a socket: libpq, the thread that
# wakes for it and its turn at the interpreter are the rest (measured from 2,000 to 6,000 a second on two cores).
_TIMES_THE_MESSAGE = 16.0


def expected(scenario: Scenario) -> str:
    """What comes at the server: users, think time, arrivals, and for how long each may keep a connection. Pure."""
    mean, peak = mean_rate(scenario.phases), highest_rate(scenario.phases)
    hold, users = 1000 * _COMFORTABLE * scenario.pool / peak, peak * scenario.think_seconds
    return (
        f"{mean:,.0f} arrivals a second, {peak:,.0f} at the most: {users:,.0f} users, each every"
        f" {scenario.think_seconds:g} s\n"
        f"{scenario.pool} connections are {_COMFORTABLE:.0%} busy when each arrival has one for {hold:.3g} ms"
    )


def cost_of_sending(scenario: Scenario) -> float:
    """About how many seconds of CPU one arrival costs the generator on this machine.

    It makes messages and passes them to itself for a tenth of a second: no server is asked.
    """
    composers = [Composer(script, scenario.prelude) for script in scenario.scripts]
    values = [
        {USER: 1, TENANT: 1, TENANTS: scenario.tenants, **{name: draw.most for name, draw in script.draws.items()}}
        for script in scenario.scripts
    ]
    messages = list(zip(composers, values, strict=True))
    near, far = socket.socketpair()
    with near, far:
        return _TIMES_THE_MESSAGE * min(_try(messages, near, far) for _ in range(_TRIES))


def _try(messages: Sequence[tuple[Composer, Mapping[str, int]]], near: socket.socket, far: socket.socket) -> float:
    done, cpu, end = 0, time.process_time(), time.monotonic() + _TRY_SECONDS
    while not done or time.monotonic() < end:
        for composer, values in messages:
            message = composer.message(values)
            near.sendall(message)
            far.recv(len(message))
            done += 1
    return (time.process_time() - cpu) / done


def require_rate(scenario: Scenario, cost: float, shards: int = 1) -> None:
    """Make sure that this machine can send its part of what the scenario wants at its busiest.

    Args:
        scenario: What is wanted.
        cost: Seconds of CPU for each arrival.
        shards: Among how many machines it is shared.

    Raises:
        Refused: it cannot: the run would be INVALID.
    """
    possible, wanted = MOST_CPU * processes_of(scenario) / cost, highest_rate(scenario.phases) / shards
    if wanted > possible:
        raise Refused(
            f"{scenario.name} wants {wanted:,.0f} arrivals a second, and this machine can send about {possible:,.0f}",
            hint="Fewer users, a longer think_seconds, a faster machine, or several: --shards.",
        )
