"""What a borrow costs against a connection of one's own, and what it costs to know who has it.

Everything is measured in turn within one run, as one client does it: the median of each, and its ratio to the first.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import psycopg
from psycopg_pool import ConnectionPool

from tests.support.pooler import PGBOUNCER, poolers
from wedsync_db.pool.leaks import stack as capture
from wedsync_db.pool.ledger import Ledger, log_leak
from wedsync_db.pool.pool import Pool, open_pool
from wedsync_db.pool.tiers import Tier
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.session import Address, session

ROUNDS = 400
CALLS = 20  # the depth of an ordinary web application's stack
INSIDE = 20_000
_WARM = 20
_SETTLE_SECONDS = 0.002
_EMPTY = "ours, without a statement"
_PLAIN = "psycopg_pool as it comes"
THREADS, SECONDS = 40, 2.0
_FEW = Tier("free", size=4, kept=4, queue=20)
Work = Callable[[], None]


def measure() -> str:
    load = os.getloadavg()[0]
    with scratch(18) as cluster, session(cluster.address(), "bench") as db, ExitStack() as stack:
        found = _medians(dict(_works(cluster.address(), db, stack)))
        crowd = _crowds(cluster.address())
    first = next(iter(found.values()))
    lines = [f"| {name} | {1e6 * took:.0f} | {took / first:.3f} |" for name, took in found.items()]
    kept, captured = _deep(_account, CALLS), _deep(_capture, CALLS)
    borrow = found[_EMPTY]
    return "\n".join(
        [
            "## A connection of one's own, and a borrowed one",
            "",
            f"One client, the server on the same machine over a socket, median of {ROUNDS} in turn. The machine's load",
            f"was {load:.1f} on {os.cpu_count()} cores as it began.",
            "",
            "| | µs | against connecting |",
            "|---|---|---|",
            *lines,
            "",
            f"{THREADS} threads that do nothing else, on 20 connections (median of three times {SECONDS} s in turn):",
            "",
            "| | a second | against psycopg_pool as it comes |",
            "|---|---|---|",
            *[f"| {name} | {done:.0f} | {done / crowd[_PLAIN]:.2f} |" for name, done in crowd.items()],
            "",
            _account_of(kept / INSIDE, captured / INSIDE, borrow),
        ]
    )


def _account_of(kept: float, captured: float, borrow: float) -> str:
    return (
        f"To know who has a connection costs {1e6 * kept:.1f} µs, {kept / borrow:.3f} of a borrow and return without a "
        f"statement;\nof these {1e6 * captured:.1f} µs, {captured / borrow:.3f}, are for a stack of {CALLS} calls."
    )


def _works(address: Address, db: psycopg.Connection, stack: ExitStack) -> Iterator[tuple[str, Work]]:
    yield "connect, select 1, close", lambda: _connect(address.conninfo())
    pooler = None
    if PGBOUNCER:
        start = stack.enter_context(poolers(address, db))
        pooler = stack.enter_context(start("pool_mode=transaction"))
        yield "the same to pgbouncer in transaction mode", lambda: _connect(pooler.address.conninfo())
    plain = stack.enter_context(_psycopgs(address))
    yield "psycopg_pool as it comes: borrow, select 1, return", lambda: _borrow(plain)
    checked = stack.enter_context(_psycopgs(address, check=ConnectionPool.check_connection, reset=_reset))
    yield "psycopg_pool that checks each time, and resets", lambda: _borrow(checked)
    pool = stack.enter_context(open_pool(address, _FEW))
    yield "ours", lambda: _borrow(pool)
    yield "ours, as a tenant with a role and a setting", lambda: _as_tenant(pool)
    yield _EMPTY, lambda: _take(pool)
    if pooler:
        through = stack.enter_context(open_pool(pooler.address, _FEW))
        yield "ours to pgbouncer in transaction mode", lambda: _borrow(through)


def _psycopgs(address: Address, **more: Callable[[psycopg.Connection], None]) -> ConnectionPool:
    # DISCARD ALL takes away what psycopg prepared, which it does not notice each time
    kwargs = {"prepare_threshold": None} if more else {}
    pool = ConnectionPool(address.conninfo(), kwargs=kwargs, min_size=4, open=True, **more)
    pool.wait()
    return pool


def _reset(connection: psycopg.Connection) -> None:
    connection.autocommit = True
    connection.execute("discard all")
    connection.autocommit = False


def _connect(conninfo: str) -> None:
    with psycopg.connect(conninfo, prepare_threshold=None) as connection:
        connection.execute("select 1")


def _borrow(pool: Pool | ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute("select 1")


def _take(pool: Pool) -> None:
    with pool.connection():
        pass


def _as_tenant(pool: Pool) -> None:
    with pool.transaction(role="pg_monitor", settings={"request.jwt.claims": "{}"}) as connection:
        connection.execute("select 1")


def _account() -> None:
    ledger = Ledger("bench", 30.0, log_leak)
    for _ in range(INSIDE):
        ledger.take_back(ledger.lend(4711, 0.0))


def _capture() -> None:
    for _ in range(INSIDE):
        capture()


def _crowds(address: Address) -> dict[str, float]:
    """Borrows a second by as many threads as want more than there is."""
    twenty = replace(_FEW, size=20, kept=20, queue=500)
    with _psycopgs(address) as plain, _psycopgs(address, reset=_reset) as reset, open_pool(address, twenty) as ours:
        pools = {_PLAIN: plain, "psycopg_pool that resets": reset, "ours": ours}
        for pool in (plain, reset):
            pool.resize(20)
            pool.check()
        done = [{name: _crowd(pool) for name, pool in pools.items()} for _ in range(3)]
    return {name: statistics.median(one[name] for one in done) for name in pools}


def _crowd(pool: Pool | ConnectionPool) -> float:
    until, counts = time.monotonic() + SECONDS, [0] * THREADS

    def work(number: int) -> None:
        while time.monotonic() < until:
            _borrow(pool)
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def _medians(works: dict[str, Work]) -> dict[str, float]:
    """Seconds of each, in turn, so that a busy moment is everybody's."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for number in range(ROUNDS + _WARM):
        for name, work in works.items():
            time.sleep(_SETTLE_SECONDS)  # what the one before left to do in the background
            seconds = _deep(work, CALLS)
            if number >= _WARM:
                took[name].append(seconds)
    return {name: statistics.median(times) for name, times in took.items()}


def _deep(work: Work, calls: int) -> float:
    """How long it takes below so many calls."""
    if calls:
        return _deep(work, calls - 1)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
