"""Run a schedule against a server with processes of threads, and bring together what they measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wedsync_db.load.bouncer import bouncer, find_pgbouncer
from wedsync_db.load.handles import require_handles, require_ports
from wedsync_db.load.processes import await_ready, collect, process, processes_of
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Schedule, schedule, shard
from wedsync_db.load.worker import Progress, Taken, Work
from wedsync_db.postgres.session import SERVER_SILENCE, Address

_SENDERS_OF_POOL = 2  # through a pooler
_LEAD_SECONDS = 0.3  # from when all are ready to the first arrival
_DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One run: of every arrival when it was due, and how it went; in microseconds, -1 where it never came to that.

    `waited` is from due to sent: where `late`, the generator's own fault, else the pool's, whose connections were all
    busy. `code` is 0 for an answer, -1 for none, or the place, from 1 on, of its SQLSTATE in `errors`.
    """

    scenario: Scenario
    schedule: Schedule
    waited: NDArray[np.int64]
    service: NDArray[np.int64]
    late: NDArray[np.bool_]
    code: NDArray[np.int16]
    errors: tuple[str, ...]
    leaks: int
    cpu_seconds: float
    seconds: float
    processes: int
    share: float  # of the scenario's arrivals: less than 1 for one of several generators
    began: float  # Unix time of the first moment
    heartbeats: NDArray[np.int64] = field(repr=False)
    connect: NDArray[np.int64] | None = None  # how long each took to get a connection of its own, where it had one
    problems: tuple[str, ...] = ()  # why it is no measurement of this scenario

    @property
    def response(self) -> NDArray[np.int64]:
        """From due to answered; what was never answered counts with what it had waited when the run ended."""
        given_up = np.maximum(((self.seconds - self.schedule.due) * 1e6).astype(np.int64), 0)
        return np.where(self.service >= 0, self.waited + self.service, given_up)


def run(
    scenario: Scenario,
    address: Address,
    *,
    seed: int,
    part: tuple[int, int] = (0, 1),
    start: Callable[[], float] = lambda: time.monotonic() + _LEAD_SECONDS,
    tell: Callable[[Progress], bool] = lambda _: True,
    pooled: Callable[[Address], None] = lambda _: None,
) -> Measured:
    """One run of a scenario, from the first arrival to the last answer.

    Args:
        scenario: What to do.
        address: The database, as the role that the application logs in with.
        seed: The schedule and all that is drawn come from this.
        part: Which of how many generators this is; each takes its own arrivals of the same schedule.
        start: Asked once all connections are there for the moment of the first arrival, on the monotonic clock.
        tell: Gets the sum of the progress about once a second; what says False ends the run.
        pooled: Gets the address of the pooler in between, as soon as there is one.

    Raises:
        Refused: the machine has too few file handles or ports, or no pgbouncer where the scenario wants one.
        Unreachable: the connections are not to be had.
        Inconclusive: a process of the generator was lost.
    """
    whole = schedule(scenario.phases, [one.share for one in scenario.scripts], scenario.users, seed)
    mine = np.arange(len(whole))[shard(*part)]
    draws = _draws(scenario, len(whole), seed)
    require_machine(scenario)
    require_ports(scenario, address)
    processes = processes_of(scenario)
    with ExitStack() as stack:
        if scenario.connections == "pgbouncer":
            address = stack.enter_context(bouncer(address, scenario))
            pooled(address)
        workers = [stack.enter_context(process()) for _ in range(processes)]
        for number, worker in enumerate(workers):
            worker.send(_work(scenario, address, whole, draws, mine[shard(number, processes)], (number, processes)))
        await_ready(workers)
        begin = start()
        began = time.time() + begin - time.monotonic()
        for worker in workers:
            worker.send(begin)
        parts = collect(workers, tell)
        seconds = time.monotonic() - begin
    return _together(scenario, whole, mine, parts, began, seconds, part[1])


def require_machine(scenario: Scenario) -> None:
    """Make sure that this machine can have the scenario's connections; asked before there is any.

    Raises:
        Refused: it allows too few file handles, or has no pgbouncer where the scenario wants one.
    """
    require_handles(scenario, processes_of(scenario))
    if scenario.connections == "pgbouncer":
        find_pgbouncer()


def _work(
    scenario: Scenario,
    address: Address,
    whole: Schedule,
    draws: dict[str, NDArray[np.int64]],
    chosen: NDArray[np.int64],
    process: tuple[int, int],
) -> Work:
    each = scenario.connect == "each"
    return Work(
        conninfo=address.conninfo(application_name="wedsync-db/load", **_options(scenario)),
        connections=0 if each else len(range(process[0], scenario.held, process[1])),
        senders=len(range(process[0], _senders(scenario), process[1])),
        scripts=scenario.scripts,
        prelude=scenario.prelude,
        due=whole.due[chosen],
        script=whole.script[chosen],
        user=whole.user[chosen],
        draws={name: values[chosen] for name, values in draws.items()},
        tenants=scenario.tenants,
        max_backlog=scenario.max_backlog_seconds,
        drain=_DRAIN_SECONDS,
    )


def _options(scenario: Scenario) -> dict[str, str]:
    """The settings of a session; pgbouncer hands on none, and gives its own sessions the same."""
    if scenario.connections == "pgbouncer":
        return {}
    options = {
        "client_connection_check_interval": "1000",  # ms; ends the backend of a generator that was killed
        **SERVER_SILENCE,
        "statement_timeout": str(scenario.statement_timeout_ms),
    }
    return {"options": " ".join(f"-c {name}={value}" for name, value in options.items())}


def _senders(scenario: Scenario) -> int:
    """Threads: more than the pool has, so that those who wait for a connection do so where an application's would."""
    return scenario.held if scenario.connect == "each" else min(scenario.held, _SENDERS_OF_POOL * scenario.pool)


def _draws(scenario: Scenario, size: int, seed: int) -> dict[str, NDArray[np.int64]]:
    """A number for each parameter and arrival, whichever script it turns out to be: the same for every generator."""
    rng = np.random.default_rng(seed + 2)
    return {
        f"{number}.{name}": draw.draw(rng, size)
        for number, script in enumerate(scenario.scripts)
        for name, draw in script.draws.items()
    }


def _together(
    scenario: Scenario,
    whole: Schedule,
    mine: NDArray[np.int64],
    parts: Sequence[Taken],
    began: float,
    seconds: float,
    of: int,
) -> Measured:
    many, states = len(mine), sorted({state for part in parts for state in part.errors})
    waited, service = np.full(many, -1, dtype=np.int64), np.full(many, -1, dtype=np.int64)
    late, code = np.zeros(many, dtype=np.bool_), np.full(many, -1, dtype=np.int16)
    connect = np.full(many, -1, dtype=np.int64)
    for number, part in enumerate(parts):
        own = shard(number, len(parts))
        waited[own], service[own], late[own] = part.waited, part.service, part.late
        known = np.asarray([0, *(states.index(state) + 1 for state in part.errors), -1], dtype=np.int16)
        code[own] = known[part.code]  # -1 is the last one
        connect[own] = part.connect
    return Measured(
        scenario,
        Schedule(whole.due[mine], whole.script[mine], whole.user[mine]),
        waited,
        service,
        late,
        code,
        tuple(states),
        sum(part.leaks for part in parts),
        math.fsum(part.cpu_seconds for part in parts),
        seconds,
        len(parts),
        1 / of,
        began,
        np.concatenate([part.heartbeats for part in parts]),
        connect if scenario.connect == "each" else None,
    )
