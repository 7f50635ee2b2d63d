"""Thousands of connections that are open and mostly idle, through a pgbouncer: what they cost, and what they slow down.

The same arrivals on the same table each time, so that the first row, the pool alone, is what the others compare with.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.load import ROWS, scenario, server
from wedsync_db.load.bouncer import bouncer
from wedsync_db.load.connecting import connections
from wedsync_db.load.engine import Measured, run
from wedsync_db.load.handles import raise_handles
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.scripts import Draw, Script
from wedsync_db.postgres.session import Address, session

RATE, STORM, SECONDS, ROUNDS, CLIENTS = 1000, 100, 5, 3, 5000
_PASSWORD = "for the bench only"
_READ = Script("read", 1, "select id, v from public.items where id = (1 + :n)::integer;", {"n": Draw(0, ROWS - 1)})


def measure() -> str:
    raise_handles()
    load = os.getloadavg()[0]
    with TemporaryDirectory(prefix="wedsync-bench-") as folder, _server(Path(folder)) as address:
        held = _in_turn({name: _scenario(RATE, **ways) for name, ways in _HELD.items()}, address)
        each = _in_turn({name: _scenario(STORM, connect="each", **ways) for name, ways in _EACH.items()}, address)
        opened, ours, theirs = _open(address)
    return "\n".join(
        [
            "## Open connections",
            "",
            f"A read by key, {RATE:,} a second, PostgreSQL 18 on the same {os.cpu_count()} cores; median of {ROUNDS}",
            f"runs of {SECONDS} s in turn. Load before: {load:.1f}.",
            "",
            "| | response p50/p95 ms | generator's CPU µs each |",
            "|---|---|---|",
            *[f"| {name} | {_percentiles(runs, _response)} | {_cpu(runs):.0f} |" for name, runs in held.items()],
            "",
            f"{CLIENTS:,} connections are open in {opened:.2f} s; each takes {ours:.1f} KiB of the generator,",
            f"{theirs:.1f} of pgbouncer.",
            "",
            f"A connection for each arrival, {STORM} a second; the server checks a password (SCRAM), pgbouncer by md5:",
            "",
            "| | to connect p50/p95 ms | response p50/p95 ms |",
            "|---|---|---|",
            *[
                f"| {name} | {_percentiles(runs, _connect)} | {_percentiles(runs, _response)} |"
                for name, runs in each.items()
            ],
        ]
    )


_POOLED = {"connections": "pgbouncer", "clients": CLIENTS}
_HELD = {
    "20 connections, no pooler": {"pool": 20},
    "100 connections, no pooler": {"pool": 100},
    f"{CLIENTS:,} clients on a pool of 20": {"pool": 20, **_POOLED},
    f"{CLIENTS:,} clients on a pool of 100": {"pool": 100, **_POOLED},
}
_EACH = {
    "to PostgreSQL": {"pool": 100},
    "to pgbouncer, pool of 20": {"pool": 20, "connections": "pgbouncer", "clients": 200},
}


def _scenario(rate: float, **ways: Any) -> Scenario:
    return replace(scenario(rate, SECONDS), scripts=(_READ,), **ways)


@contextmanager
def _server(folder: Path) -> Iterator[Address]:
    """The table's server, as an ordinary role whose password is checked."""
    with server(folder) as address:
        with session(address, "bench") as connection:
            connection.execute(f"create role bench login password '{_PASSWORD}'; grant select on public.items to bench")
        yield replace(address, user="bench", password=_PASSWORD)


def _in_turn(scenarios: dict[str, Scenario], address: Address) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {name: [] for name in scenarios}
    for number in range(ROUNDS):
        for name, one in scenarios.items():
            found[name].append(run(one, address, seed=number))
    return found


def _response(measured: Measured) -> np.ndarray:
    assert (measured.code == 0).all()
    return measured.response


def _connect(measured: Measured) -> np.ndarray:
    assert measured.connect is not None
    return measured.connect


def _percentiles(runs: list[Measured], times: Callable[[Measured], np.ndarray]) -> str:
    both = [float(np.median([np.percentile(times(one), percent) for one in runs])) / 1000 for percent in (50, 95)]
    return f"{both[0]:.2f} / {both[1]:.2f}"


def _cpu(runs: list[Measured]) -> float:
    return float(np.median([one.cpu_seconds / len(one.code) * 1e6 for one in runs]))


def _open(address: Address) -> tuple[float, float, float]:
    """Seconds to open all, and KiB of each in this process and in pgbouncer."""
    with bouncer(address, _scenario(RATE, pool=20, **_POOLED)) as pooled:
        (pooler,) = [entry for entry in Path("/proc").glob("[0-9]*") if _is_pooler(entry, pooled.host)]
        before = _memory(Path("/proc/self")), _memory(pooler)
        began = time.monotonic()
        held = connections(pooled.conninfo(), CLIENTS)
        took = time.monotonic() - began
        after = _memory(Path("/proc/self")), _memory(pooler)
        for one in held:
            one.finish()
    ours, theirs = ((now - then) / CLIENTS for now, then in zip(after, before, strict=True))
    return took, ours, theirs


def _is_pooler(entry: Path, folder: str) -> bool:
    try:
        return (entry / "comm").read_text() == "pgbouncer\n" and folder in (entry / "cmdline").read_text()
    except OSError:
        return False


def _memory(entry: Path) -> float:
    line = next(one for one in (entry / "status").read_text().splitlines() if one.startswith("VmRSS"))
    return float(line.split()[1])
