"""The load generator against pgbench: what it costs, how late it is, and whether both see the same stall.

One server, one table, the same transaction from both: sign in for it, read a row by its key. pgbench sends it as its
scripts are written, in four messages, ours in one. Arrivals are a Poisson process of the same rate. Budget at 1,000 a
second: CPU by transaction at most 1.6 of pgbench's, the generator at most 0.5 ms late (p95), at most 1 KiB of memory
for each user.
"""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from wedsync_db.load.criteria import read_criteria
from wedsync_db.load.engine import Measured, run
from wedsync_db.load.sampler import sampling
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Phase, schedule
from wedsync_db.load.scripts import Draw, Script
from wedsync_db.postgres.cluster import binaries_of, scratch
from wedsync_db.postgres.session import Address, session

RATES = (500, 1000, 2000, 3000, 6000)
SECONDS, POOL, ROUNDS = 5, 20, 3
SAMPLED, SAMPLED_SECONDS = 100, 10
STALL_RATE, STALL_SECONDS, STALL_RUN = 500, 2.0, 10
ROWS, _USERS = 100_000, 5000
_SIGN_IN = "select set_config('app.user', :user::text, true)"
_READ = "select id, v from public.items where id = (1 + :n)::integer"
_SCRIPT = Script("read", 1, f"{_SIGN_IN};\n{_READ};", {"n": Draw(0, ROWS - 1)})
_DRAWN = f"\\set user random(0, {_USERS - 1})\n\\set n random(0, {ROWS - 1})\n"
_PGBENCH = f"{_DRAWN}begin;\n{_SIGN_IN};\n{_READ};\ncommit;\n"  # as pgbench's own scripts are: four messages
_ONE_MESSAGE = f"{_DRAWN}{_SIGN_IN}\\;\n{_READ};\n"


@dataclass(frozen=True)
class Found:
    """Milliseconds; CPU in microseconds by transaction."""

    p50: float
    p95: float
    cpu: float
    lag: float
    done: int


def measure() -> str:
    with TemporaryDirectory(prefix="wedsync-bench-") as folder, server(Path(folder)) as address:
        rates = {f"{rate:,}": _rate(rate, address, Path(folder)) for rate in RATES}
        rates["1,000, pgbench in one message, too"] = _rate(1000, address, Path(folder), _ONE_MESSAGE)
        stalled = _stalled(address, Path(folder))
        sampler = _sampler(address)
    memory = _memory()
    lines = [
        "## Load generator",
        "",
        f"The same transaction, read by key, in one message (pgbench: four), {POOL} connections, PostgreSQL 18 on",
        f"the same {os.cpu_count()} cores; median of {ROUNDS} runs of {SECONDS} s in turn with `pgbench --rate`.",
        f"Load before: {os.getloadavg()[0]:.1f}. Budget at 1,000 a second: CPU 1.6 of pgbench's, late 0.5 ms (p95).",
        "",
        "| a second | CPU µs, pgbench | ours | ratio | late p95 ms | response p50/p95 ms, pgbench | ours |",
        "|---|---|---|---|---|---|---|",
        *(_row(rate, *both) for rate, both in rates.items()),
        "",
        f"A table locked for {STALL_SECONDS:g} s of {STALL_RUN}, {STALL_RATE} arrivals a second, median of {ROUNDS}:",
        "",
        "| | p95 ms |",
        "|---|---|",
        *(f"| {name} | {value:,.1f} |" for name, value in stalled.items()),
        "",
        f"Memory: {memory:.3f} KiB for each of {_USERS:,} users of a minute at {_USERS // 5:,} a second (budget 1).",
        "",
        f"The sampler, ten looks a second at {SAMPLED} sessions at work and one at the counters: {sampler:.2f} ms of",
        f"the server's CPU for each look, {sampler:.2f} % of a core.",
    ]
    return "\n".join(lines)


@contextmanager
def server(folder: Path) -> Iterator[Address]:
    """A server of 18 with a table to read by key, as its superuser; it ends with the block."""
    folder.chmod(0o711)
    with scratch(18, folder, {"max_connections": "150"}) as cluster:
        address = cluster.address()
        with session(address, "bench") as connection:
            connection.execute(
                f"create table public.items as select n::integer as id, n as v from generate_series(1, {ROWS}) n"
            )
            connection.execute("alter table public.items add primary key (id)")
            connection.execute("vacuum analyze public.items")
        yield address


def scenario(rate: float, seconds: float) -> Scenario:
    """The transaction, so many times a second."""
    phases = (Phase("steady", seconds, rate, rate),)
    criteria = read_criteria({"response_ms": ["p(95)<1000"]}, scripts=("read",), phases=("steady",)).criteria
    return Scenario("bench", "bench", "", "", "", (_SCRIPT,), phases, criteria, _USERS, 100, POOL)


def _rate(rate: int, address: Address, folder: Path, script: str = _PGBENCH) -> tuple[Found, Found]:
    """pgbench and ours, in turn."""
    theirs, ours = [], []
    for number in range(ROUNDS):
        theirs.append(_pgbench(address, folder, ["--rate", str(rate), "-T", str(SECONDS)], script))
        ours.append(_found(run(scenario(rate, SECONDS), address, seed=number)))
    return _median(theirs), _median(ours)


def _median(found: list[Found]) -> Found:
    return Found(
        *(float(np.median([getattr(one, name) for one in found])) for name in ("p50", "p95", "cpu", "lag")),
        done=int(np.median([one.done for one in found])),
    )


def _found(measured: Measured) -> Found:
    response = measured.response / 1000
    lags = measured.waited[measured.late] / 1000
    return Found(
        float(np.percentile(response, 50)),
        float(np.percentile(response, 95)),
        measured.cpu_seconds / len(response) * 1e6,
        float(np.percentile(lags, 95)) if len(lags) else float("nan"),
        int((measured.code == 0).sum()),
    )


def _pgbench(address: Address, folder: Path, options: list[str], text: str = _PGBENCH) -> Found:
    """pgbench's own log: with a rate, a transaction's time is from when it was due."""
    script, log = folder / "read.sql", folder / "log"
    script.write_text(text)
    program = binaries_of(18)
    assert program
    command = [str(program / "pgbench"), "-n", "-M", "simple", "-c", str(POOL), "-j", "2", "-f", str(script), "--log"]
    command += ["--log-prefix", str(log), *options, "-h", address.host, "-p", str(address.port), "-U", address.user]
    environ = {**os.environ, "PGPASSWORD": address.password or ""}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, address.dbname], env=environ, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    files = list(folder.glob("log.*"))
    times = np.concatenate([np.loadtxt(file, usecols=2, ndmin=1) for file in files if file.stat().st_size]) / 1000
    for file in files:
        file.unlink()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Found(
        float(np.percentile(times, 50)),
        float(np.percentile(times, 95)),
        cpu / len(times) * 1e6,
        float("nan"),
        len(times),
    )


def _stalled(address: Address, folder: Path) -> dict[str, float]:
    """p95 of each way to measure, with the table locked in the middle of the run; the median of some rounds."""
    rounds = [_stalled_once(address, folder, number) for number in range(ROUNDS)]
    return {name: float(np.median([one[name] for one in rounds])) for name in rounds[0]}


def _stalled_once(address: Address, folder: Path, seed: int) -> dict[str, float]:
    seconds = ["-T", str(STALL_RUN)]
    with _lock(address):
        closed = _pgbench(address, folder, seconds)
    with _lock(address):
        rated = _pgbench(address, folder, ["--rate", str(STALL_RATE), *seconds])
    with _lock(address):
        measured = run(scenario(STALL_RATE, STALL_RUN), address, seed=seed)
    answered = measured.service[measured.service >= 0] / 1000
    return {
        "closed loop (pgbench without --rate): wrong": closed.p95,
        "open loop, timed from sending: wrong": float(np.percentile(answered, 95)),
        "pgbench --rate": rated.p95,
        "ours, from when it was due": _found(measured).p95,
    }


@contextmanager
def _lock(address: Address) -> Iterator[None]:
    """Lock the table for a while, some seconds from now."""

    def lock() -> None:
        time.sleep(STALL_RUN / 2)
        with session(address, "bench", lock_timeout_ms=0) as connection, connection.transaction():
            connection.execute("lock table public.items")
            time.sleep(STALL_SECONDS)

    thread = threading.Thread(target=lock)
    thread.start()
    yield
    thread.join()


def _sampler(address: Address) -> float:
    """Milliseconds of CPU that the sampler's backend took for each look, by what the kernel counts of its time."""
    backend = "select pid from pg_stat_activity where application_name = 'wedsync-db/load-sampler'"
    busy = ThreadPoolExecutor(SAMPLED)
    with session(address, "bench") as connection, sampling(address, through=address.with_database("template1")) as seen:
        ended = time.monotonic() + SAMPLED_SECONDS + 3
        for _ in range(SAMPLED):
            busy.submit(_work_until, address, ended)
        time.sleep(2)
        schedule = Path(f"/proc/{connection.execute(backend).fetchall()[0][0]}/schedstat")
        before, begun = int(schedule.read_text().split()[0]), time.time()
        time.sleep(SAMPLED_SECONDS)
        after = int(schedule.read_text().split()[0])
        found = seen.observed(begun)
        busy.shutdown()
    assert not found.doubts()
    assert sum(found.between(0, SAMPLED_SECONDS).waits.values()) > 0.9 * SAMPLED
    return (after - before) / 1e6 / (SAMPLED_SECONDS * 10)


def _work_until(address: Address, ended: float) -> None:
    with session(address, "load") as connection:
        while time.monotonic() < ended:
            connection.execute("select pg_sleep(0.5)")


def _memory() -> float:
    """KiB for each user: what the schedule of a minute takes, for users who do something every five seconds."""
    rate = _USERS / 5
    tracemalloc.start()
    made = schedule((Phase("steady", 60, rate, rate),), [1], _USERS, seed=1)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(made)
    return size / 1024 / _USERS


def _row(rate: str, theirs: Found, ours: Found) -> str:
    return (
        f"| {rate} | {theirs.cpu:.0f} | {ours.cpu:.0f} | {ours.cpu / theirs.cpu:.2f} | {ours.lag:.2f} |"
        f" {theirs.p50:.2f} / {theirs.p95:.2f} | {ours.p50:.2f} / {ours.p95:.2f} |"
    )
