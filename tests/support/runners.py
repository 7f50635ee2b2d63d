"""Starting, killing and awaiting the runners of tests/support/killing.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wedsync_db.installation import CHECKOUT

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Trip:
    """A round trip to the server, by its place in the program; `settled`: what it did is there to stay."""

    place: str
    settled: bool


@dataclass(frozen=True)
class Boundary:
    """A moment to kill at: when a place is passed for the `nth` time, once it is `sent` or `answered`."""

    place: str
    nth: int
    how: str

    def __str__(self) -> str:
        return f"{self.place}, time {self.nth}, {self.how}"


NOWHERE = Boundary("", 0, "")


@dataclass(frozen=True)
class Ended:
    """A runner's end: 0 it did its work, 1 it says it failed, KILLED; and its round trips, if it came to its end."""

    code: int
    trips: tuple[Trip, ...] = ()


class Runners:
    """A process that forks runners."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    @property
    def log(self) -> str:
        """What the runners said, the end of it."""
        return (self._folder / "log").read_text()[-6000:]

    def prepare(self, environment: str, environ: Mapping[str, str]) -> None:
        """Plan, back up and rehearse for all runners that follow."""
        self._order(do="prepare", environment=environment, environ=dict(environ))

    def run(self, job: str, environment: str, boundary: Boundary = NOWHERE) -> Ended:
        """Run a job to its end, or to the boundary."""
        return self.wait(self.start(job, environment, boundary))

    def start(self, job: str, environment: str, boundary: Boundary = NOWHERE) -> int:
        """Start a job; its process id."""
        self._trips.unlink(missing_ok=True)
        at = (boundary.place, boundary.nth, boundary.how)
        return int(self._order(do="fork", job=job, environment=environment, boundary=at, trips=str(self._trips))["pid"])

    def wait(self, pid: int) -> Ended:
        """Wait for its end, and be sure of it: until then its number is nobody else's."""
        code = int(self._order(do="wait", pid=pid)["code"])
        assert code in (0, 1, KILLED), f"a runner broke\n{self.log}"
        trips = json.loads(self._trips.read_text()) if self._trips.exists() else ()
        return Ended(code, tuple(Trip(*trip) for trip in trips))

    def kill(self, pid: int) -> Ended:
        """Kill a runner, if it is still there."""
        os.kill(pid, signal.SIGKILL)
        return self.wait(pid)

    @property
    def _trips(self) -> Path:
        return self._folder / "trips"

    def _order(self, **order: Any) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "it is gone"}')
        assert "error" not in answer, f"{answer['error']}\n{self.log}"
        return answer


@contextmanager
def runners(folder: Path) -> Iterator[Runners]:
    """The process that forks, until the end of the block."""
    command = [sys.executable, "-m", "tests.support.killing", str(folder / "log")]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Runners(process, folder)
        finally:
            process.kill()
