"""The processes of the generator: started, told, listened to, and ended with us however we end."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

from wedsync_db.errors import Inconclusive, Unreachable
from wedsync_db.installation import CHECKOUT
from wedsync_db.load.pipe import receive, send
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.worker import PROCESSES, READY, STOP, Progress, Taken

_STARTUP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Process:
    """One process and the pipes to it. Its input is its leash: when we die, it ends."""

    popen: subprocess.Popen[bytes]
    into: IO[bytes]
    out: IO[bytes]

    def send(self, value: object) -> None:
        """Tell it something."""
        send(self.into, value)

    def stop(self) -> None:
        """Let it begin nothing more."""
        self.into.write(STOP)
        self.into.flush()

    def answer(self) -> Any:
        """The next thing it says.

        Raises:
            Inconclusive: it is gone.
        """
        try:
            return receive(self.out)
        except (EOFError, OSError):
            raise Inconclusive(
                "a process of the load generator ended before its time",
                hint="Was it killed, or is the machine out of memory? What it measured is lost: run again.",
            ) from None


def processes_of(scenario: Scenario) -> int:
    """How many processes send a scenario's arrivals."""
    return min(PROCESSES, os.cpu_count() or 1, scenario.pool)


@contextmanager
def process() -> Iterator[Process]:
    """A process that ends with this block."""
    command = [sys.executable, "-c", "from wedsync_db.load.worker import main; main()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT) as popen:
        try:
            yield Process(popen, cast("IO[bytes]", popen.stdin), cast("IO[bytes]", popen.stdout))
        finally:
            popen.kill()


def await_ready(processes: Sequence[Process]) -> None:
    """Wait until all have their connections.

    Raises:
        Unreachable: they are not to be had.
        Inconclusive: a process is gone, or not ready within a minute.
    """
    watch = threading.Timer(_STARTUP_SECONDS, _kill, [processes])
    watch.start()
    try:
        for one in processes:
            answer = one.answer()
            if answer != READY:
                raise Unreachable(
                    f"the load test got no connections: {answer}",
                    hint="Is the pool within the server's max_connections?",
                )
    finally:
        watch.cancel()


def collect(processes: Sequence[Process], tell: Callable[[Progress], bool]) -> list[Taken]:
    """What each measured. Their progress is added up and told about once a second; False ends the run.

    Raises:
        Inconclusive: one of them is gone.
    """
    answers: queue.SimpleQueue[tuple[int, Progress | Taken | Exception]] = queue.SimpleQueue()
    for number, one in enumerate(processes):
        threading.Thread(target=_listen, args=(number, one, answers.put), daemon=True).start()
    newest: dict[int, Progress] = {}
    taken: dict[int, Taken] = {}
    while len(taken) < len(processes):
        number, answer = answers.get()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Taken):
            taken[number] = answer
        else:
            newest[number] = answer
            if number == 0 and not tell(added_up(list(newest.values()))):
                for one in processes:
                    one.stop()
    return [taken[number] for number in range(len(processes))]


def _listen(number: int, one: Process, put: Callable[[tuple[int, Progress | Taken | Exception]], None]) -> None:
    answer: Progress | Taken | Exception | None = None
    while not isinstance(answer, Taken | Exception):
        try:
            answer = one.answer()
        except Inconclusive as error:
            answer = error
        put((number, answer))


def added_up(parts: Sequence[Progress]) -> Progress:
    """What several generators did; of their p95 the worst."""
    known = [one.p95_ms for one in parts if one.p95_ms is not None]
    return Progress(
        sum(one.due for one in parts),
        sum(one.answered for one in parts),
        sum(one.errors for one in parts),
        max(known) if known else None,
    )


def _kill(processes: Sequence[Process]) -> None:
    for one in processes:
        one.popen.kill()
