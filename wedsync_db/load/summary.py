"""What a run came to, in a form that is small, can be stored, and adds up exactly over several generators. Pure."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wedsync_db.load.engine import Measured
from wedsync_db.load.histogram import Histogram
from wedsync_db.load.observed import Observed
from wedsync_db.load.schedule import phase_of
from wedsync_db.load.sharing import pool_time
from wedsync_db.load.worker import ANSWERED, DROPPED


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """What came of some arrivals.

    `response` is from when they were due, and holds what was never answered with what it had waited; `service` from
    when they were sent; `queue` what they waited for one of the pool's connections. `failed` are the responses that
    were errors: a refusal may be quicker than any answer, and is not among the other times. `errors` counts them by
    SQLSTATE. `busy` is how long they had a connection, in seconds.
    """

    arrivals: int
    answered: int
    dropped: int
    busy: float
    errors: Mapping[str, int]
    response: Histogram
    service: Histogram
    queue: Histogram
    failed: Histogram
    connect: Histogram

    @classmethod
    def sum(cls, parts: Iterable[Cell]) -> Cell:
        """All of them together."""
        held = list(parts)
        states = sorted({state for one in held for state in one.errors})
        return cls(
            sum(one.arrivals for one in held),
            sum(one.answered for one in held),
            sum(one.dropped for one in held),
            math.fsum(one.busy for one in held),
            {state: sum(one.errors.get(state, 0) for one in held) for state in states},
            *(Histogram.sum(getattr(one, name) for one in held) for name in _HISTOGRAMS),
        )


_HISTOGRAMS = tuple(one.name for one in fields(Cell) if one.type == "Histogram")


@dataclass(frozen=True, slots=True)
class Generator:
    """How the generator itself was: its processes, the seconds of CPU they took in so many seconds of the run.

    `late` is how late it sent what it was free to send, `woken` how late its processes were woken; empty where nothing
    shows it.
    """

    processes: int
    cpu_seconds: float
    seconds: float
    planned: float
    late: Histogram
    woken: Histogram

    @property
    def cores(self) -> float:
        """The share of its cores that it used."""
        return self.cpu_seconds / self.seconds / self.processes

    @classmethod
    def sum(cls, parts: Sequence[Generator]) -> Generator:
        """Several of them, at work at the same time."""
        return cls(
            sum(one.processes for one in parts),
            math.fsum(one.cpu_seconds for one in parts),
            max(one.seconds for one in parts),
            math.fsum(one.planned for one in parts),
            Histogram.sum(one.late for one in parts),
            Histogram.sum(one.woken for one in parts),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """One run, or one generator's part of it.

    `cells` has the arrivals by phase and script, `seconds` the same ones by the second in which they were due. `began`
    is the first moment of the run, on the clock of its machine (Unix time). `problems` are why it is no measurement of
    this scenario, where the generator itself says so.
    """

    cells: Mapping[tuple[str, str], Cell]
    seconds: tuple[Cell, ...]
    leaks: int
    generator: Generator
    began: float
    problems: tuple[str, ...] = ()
    observed: Observed | None = None  # what the server did; None where nobody looked

    @classmethod
    def sum(cls, parts: Sequence[Summary]) -> Summary:
        """The run, from the parts of all its generators: as if one had done it all."""
        keys = list(dict.fromkeys(key for one in parts for key in one.cells))
        longest = max(len(one.seconds) for one in parts)
        return cls(
            {key: Cell.sum(one.cells[key] for one in parts if key in one.cells) for key in keys},
            tuple(Cell.sum(p.seconds[n] for p in parts if n < len(p.seconds)) for n in range(longest)),
            sum(one.leaks for one in parts),
            Generator.sum([one.generator for one in parts]),
            min(one.began for one in parts),
            tuple(dict.fromkeys(problem for one in parts for problem in one.problems)),
            next((one.observed for one in parts if one.observed), None),  # there is one server, and one who looks
        )

    def chosen(self, phases: Sequence[str], script: str | None = None) -> Cell:
        """What came of the arrivals in these phases; of one script, or of all."""
        return Cell.sum(
            cell for (phase, name), cell in self.cells.items() if phase in phases and script in (None, name)
        )

    def to_bytes(self) -> bytes:
        """To be stored, or sent to who adds it up."""
        plain = {
            "cells": [[*key, _plain(cell)] for key, cell in self.cells.items()],
            "seconds": [_plain(cell) for cell in self.seconds],
            "leaks": self.leaks,
            "generator": _plain(self.generator),
            "began": self.began,
            "problems": self.problems,
            "observed": self.observed.to_json() if self.observed else None,
        }
        return zlib.compress(json.dumps(plain).encode())

    @classmethod
    def from_bytes(cls, stored: bytes) -> Summary:
        """What `to_bytes` made."""
        plain = json.loads(zlib.decompress(stored))
        return cls(
            {(phase, script): Cell(**_read(cell)) for phase, script, cell in plain["cells"]},
            tuple(Cell(**_read(cell)) for cell in plain["seconds"]),
            plain["leaks"],
            Generator(**_read(plain["generator"])),
            plain["began"],
            tuple(plain["problems"]),
            Observed.from_json(plain["observed"]) if plain.get("observed") else None,
        )


def summary_of(run: Measured) -> Summary:
    """What one generator measured, summed up."""
    scenario, arrivals = run.scenario, _Arrivals(run)
    phases, scripts = [one.name for one in scenario.phases], [one.name for one in scenario.scripts]
    phase = phase_of(scenario.phases, run.schedule.due).astype(np.int64)
    by_kind = arrivals.cells(phase * len(scripts) + run.schedule.script, len(phases) * len(scripts))
    free = run.late & (run.waited >= 0)
    return Summary(
        {(phases[n // len(scripts)], scripts[n % len(scripts)]): cell for n, cell in enumerate(by_kind)},
        tuple(arrivals.cells(run.schedule.due.astype(np.int64), math.ceil(scenario.seconds))),
        run.leaks,
        Generator(
            run.processes,
            run.cpu_seconds,
            run.seconds,
            math.fsum(one.arrivals for one in scenario.phases) * run.share,
            Histogram.of(run.waited[free]),
            Histogram.of(run.heartbeats),
        ),
        run.began,
        run.problems,
    )


class _Arrivals:
    """A run's arrivals, each time of theirs worked out once, to be told apart by anything."""

    def __init__(self, run: Measured) -> None:
        self._code, self._errors = run.code, run.errors
        self._response = run.response
        self._service = run.service
        self._queue = np.where(run.late, 0, run.waited)
        self._connect = run.connect
        self._busy = _busy(run)

    def cells(self, key: NDArray[np.int64], many: int) -> list[Cell]:
        """A cell for each key, from 0 on."""
        order = np.argsort(key, kind="stable")
        limits = np.searchsorted(key[order], np.arange(many + 1))
        return [self._cell(order[begin:end]) for begin, end in pairwise(limits)]

    def _cell(self, chosen: NDArray[np.intp]) -> Cell:
        code, response, service = self._code[chosen], self._response[chosen], self._service[chosen]
        answered, dropped, failed = code == ANSWERED, code == DROPPED, code > ANSWERED
        kinds = {state: int((code == number).sum()) for number, state in enumerate(self._errors, 1)}
        connect = self._connect[chosen] if self._connect is not None else np.zeros(0, dtype=np.int64)
        return Cell(
            len(code),
            int(answered.sum()),
            int(dropped.sum()),
            float(self._busy[chosen].sum()),
            {state: count for state, count in kinds.items() if count},
            Histogram.of(response[answered | dropped]),
            Histogram.of(service[answered]),
            Histogram.of(self._queue[chosen][answered]),
            Histogram.of(response[failed]),
            Histogram.of(connect[connect >= 0]),
        )


def _busy(run: Measured) -> NDArray[np.float64]:
    """How long each had one of the pool's connections, in seconds; what waits in a pooler has none."""
    done = run.service >= 0
    busy = np.where(done, run.service, 0) / 1e6
    if run.scenario.held > run.scenario.pool:
        begin = run.schedule.due + run.waited / 1e6
        busy[done] = pool_time(begin[done], begin[done] + busy[done], run.scenario.pool)
    return busy


def _plain(part: Cell | Generator) -> dict[str, Any]:
    held = {one.name: getattr(part, one.name) for one in fields(part)}
    return {name: one.to_text() if isinstance(one, Histogram) else one for name, one in held.items()}


def _read(plain: Mapping[str, Any]) -> dict[str, Any]:
    kept = {"late", "woken", *_HISTOGRAMS}
    return {name: Histogram.from_text(one) if name in kept else one for name, one in plain.items()}
