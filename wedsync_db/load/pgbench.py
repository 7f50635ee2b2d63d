"""The second engine: pgbench makes the arrivals and takes the times, from a scenario written as its scripts.

It is independent of ours, which is what it is good for: both should see the same. What it cannot do:
- it looks at no row that comes back, so that nobody knows of rows of another tenant;
- it makes its arrivals itself: the same rate, not the same moments, and each step begins with nothing waiting;
- a client that meets an error (other than a serialization failure or a deadlock) is lost for the rest of its step, and
  what the others measure is not a pool of that size: such a run says nothing, which is a doubt.
"""

from __future__ import annotations

import math
import os
import re
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from wedsync_db.backup.client import CONNECTION, Client, complaint, running
from wedsync_db.errors import Inconclusive, Refused, Unreachable
from wedsync_db.load.engine import Measured
from wedsync_db.load.pgbench_log import STATES, Arrivals, read_log
from wedsync_db.load.pgbench_script import Step, script_text, steps_of, weights_of
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Schedule
from wedsync_db.load.worker import Progress
from wedsync_db.postgres.binaries import binaries_of
from wedsync_db.postgres.session import Address
from wedsync_db.settings import SUPPORTED_MAJORS

_THREADS = 2
_POLL_SECONDS = 0.1
_SPARE_SECONDS, _CONNECT_SECONDS = 1.5, 0.03  # a step, and each of its connections, may take so much longer
_SEEDS_APART = 1000  # more than a run has steps
_NEVER_BEGAN, _ABORTED = 1, 2  # pgbench's exit codes
_PROGRESS = re.compile(rb"progress: ([\d.]+) s, ([\d.]+) tps.*?, (\d+) failed")


def pgbench_of(major: int | None = None) -> Path:
    """The program: of this major, or else of the newest that is here; any of them talks to any server.

    Raises:
        Refused: there is none here.
    """
    for one in dict.fromkeys((major or SUPPORTED_MAJORS[-1], *reversed(SUPPORTED_MAJORS))):
        folder = binaries_of(one)
        if folder and os.access(folder / "pgbench", os.X_OK):
            return folder / "pgbench"
    raise Refused("no pgbench is installed here", hint="Install a PostgreSQL server's package, or --engine threads.")


def run(
    scenario: Scenario, address: Address, *, seed: int, tell: Callable[[Progress], bool] = lambda _: True
) -> Measured:
    """One run of a scenario by pgbench, a step after the other.

    Args:
        scenario: What to do.
        address: The database, as the role that the application logs in with.
        seed: pgbench's random numbers come from this; when arrivals are due depends on the machine, too.
        tell: Gets the progress about once a second; what says False ends the run.

    Raises:
        Unreachable: the pool's connections are not to be had.
        Inconclusive: pgbench was ended by somebody else.
        Refused: there is no pgbench here.
    """
    program, weights = pgbench_of(), weights_of(scenario.scripts)
    threads = min(_THREADS, os.cpu_count() or 1, scenario.pool)
    steps, parts, problems, told = steps_of(scenario.phases), [], [], _Told(tell)
    spent, began, begun = _cpu_seconds(), time.time(), time.monotonic()
    with TemporaryDirectory(prefix="wedsync-pgbench-") as name:
        folder = Path(name)
        for script in scenario.scripts:
            (folder / f"{script.name}.sql").write_text(script_text(script, scenario), encoding="utf-8")
        for number, step in enumerate(steps):
            if step.rate and not told.is_over:
                command = _command(program, folder, scenario, step, threads, _step_seed(seed, number))
                problems += _run(command, address, scenario, partial(told.hear, step))
            parts.append(read_log(_taken(folder), step, threads, weights, _step_seed(seed, number)))
    return _together(scenario, steps, parts, problems, _cpu_seconds() - spent, began, time.monotonic() - begun, threads)


def _step_seed(seed: int, step: int) -> int:
    """Of a step: no run's steps share one with those of the next run, whose seed is not far away."""
    return _SEEDS_APART * seed + step


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _command(program: Path, folder: Path, scenario: Scenario, step: Step, threads: int, seed: int) -> list[str]:
    scripts = zip(scenario.scripts, weights_of(scenario.scripts), strict=True)
    return [
        *(str(program), "--no-vacuum", "--protocol=simple", "--failures-detailed"),
        *(f"--file={folder / script.name}.sql@{weight}" for script, weight in scripts),
        *(f"--client={scenario.pool}", f"--jobs={threads}", f"--rate={step.rate:.6f}"),
        *(f"--time={_time(step, scenario)}", f"--random-seed={seed}", "--progress=1"),
        *("--log", f"--log-prefix={folder / 'log'}", CONNECTION),
    ]


def _time(step: Step, scenario: Scenario) -> int:
    """Whole seconds for pgbench, longer than the step: its clock runs while it connects, too.

    What is due after the step is not looked at; what was due before it gets the time to be begun.
    """
    return math.ceil(step.seconds + _SPARE_SECONDS + _CONNECT_SECONDS * scenario.pool)


def _run(
    command: Sequence[str], address: Address, scenario: Scenario, hear: Callable[[Sequence[tuple[bytes, ...]]], bool]
) -> list[str]:
    """One step; what makes it worth nothing."""
    settings = {"statement_timeout": str(scenario.statement_timeout_ms)}
    with running(command, address, "wedsync-db/load", settings=settings) as client:
        heard = 0
        while client.process.poll() is None:
            time.sleep(_POLL_SECONDS)
            said = _said(client, heard)
            said = said[: said.rfind(b"\n") + 1]  # the rest of a line comes with the next look
            heard += len(said)
            lines = _PROGRESS.findall(said)
            if lines and not hear(lines):
                return []  # whoever ended it says why; what it did not begin counts as dropped
        return _problem(client.process.returncode, complaint(_said(client).decode(errors="replace")))


def _said(client: Client, since: int = 0) -> bytes:
    """What it said from that byte on. Not by reading on: the place in the file is one that pgbench writes at, too."""
    descriptor = client.errors.fileno()
    return os.pread(descriptor, os.fstat(descriptor).st_size - since, since)


def _problem(code: int, said: str) -> list[str]:
    if code == 0:
        return []
    if code == _NEVER_BEGAN:
        raise Unreachable(f"pgbench did not begin: {said}", hint="Is the pool within the server's max_connections?")
    if code == _ABORTED:
        reason = said.partition("ERROR:")[2].strip() or said  # what is before it is different for each client
        return [f"pgbench lost clients, and the rest is no pool of that size: {reason}"]
    raise Inconclusive(f"pgbench ended before its time: {said}", hint="What it measured is lost: run again.")


def _taken(folder: Path) -> list[bytes]:
    """The log of each thread, which is then gone."""
    files = sorted(folder.glob("log.*"))
    logs = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    return logs


class _Told:
    """Makes our progress of pgbench's lines, of about a second each; `is_over` when somebody wants no more."""

    def __init__(self, tell: Callable[[Progress], bool]) -> None:
        self._tell = tell
        self._due, self._answered, self._errors = 0.0, 0.0, 0
        self.is_over = False

    def hear(self, step: Step, lines: Sequence[tuple[bytes, ...]]) -> bool:
        """Whether to go on."""
        for at, answered, failed in lines:
            self._due += step.rate if float(at) < step.seconds + 1 else 0  # what comes later is not of the step
            self._answered += float(answered)
            self._errors += int(failed)
        progress = Progress(round(self._due), round(self._answered), self._errors, None)
        self.is_over = not self._tell(progress)
        return not self.is_over


def _together(
    scenario: Scenario,
    steps: Sequence[Step],
    parts: Sequence[Arrivals],
    problems: Sequence[str],
    cpu_seconds: float,
    began: float,
    seconds: float,
    threads: int,
) -> Measured:
    whole = Arrivals.of([part.from_begin(step) for part, step in zip(parts, steps, strict=True)])
    many = len(whole.due)
    return Measured(
        scenario,
        Schedule(whole.due, whole.script, np.zeros(many, dtype=np.int32)),
        whole.waited,
        whole.service,
        whole.late,
        whole.code,
        STATES,
        0,
        cpu_seconds,
        seconds,
        threads,
        1.0,
        began,
        np.zeros(0, dtype=np.int64),
        problems=tuple(dict.fromkeys(problems)),
    )
