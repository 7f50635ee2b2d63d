"""How long a reader waits in front of a migration that meets a lock held for 8 s; budget: 20 ms more than usual."""

from __future__ import annotations

import threading
import time
from functools import partial

from wedsync_db.migrate.acquire import take_locks
from wedsync_db.model import HeldLock
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import LockSettings

HOLD_SECONDS = 8.0
_READERS = 4


def measure() -> str:
    with scratch(18) as cluster:
        address = cluster.address()
        with session(address, "bench") as connection:
            connection.execute("create table public.items (id bigint primary key, name text)")
            connection.execute("insert into public.items select n, 'x' from generate_series(1, 1000) n")
        alone = _longest_read(address, lambda: time.sleep(HOLD_SECONDS))
        rows = [("no migration", alone, "–")]
        for name, migrate in (("ALTER TABLE without a timeout, as every peer", _plain), ("wedsync-db", _ours)):
            waited: list[float] = []
            meet = partial(_against_holder, address, migrate, waited)
            rows.append((name, _longest_read(address, meet), f"{waited[0]:.1f} s after the holder began"))
    lines = [f"| {name} | {1000 * took:.1f} | {1000 * (took - alone):+.1f} | {done} |" for name, took, done in rows]
    return "\n".join(
        [
            f"## A reader's longest wait while a migration meets a lock held for {HOLD_SECONDS:.0f} s",
            "",
            f"{_READERS} readers select one row by its key all the time. Budget: 20 ms more than without a migration.",
            "",
            "| migration | longest read, ms | more than alone, ms | migration done |",
            "|---|---|---|---|",
            *lines,
        ]
    )


def _longest_read(address: Address, meanwhile) -> float:
    """The longest of all reads while `meanwhile` runs, seconds."""
    stop, longest = threading.Event(), [0.0] * _READERS

    def read(number: int) -> None:
        with session(address, "reader", lock_timeout_ms=0, statement_timeout_ms=0) as connection:
            while not stop.is_set():
                begin = time.perf_counter()
                connection.execute("select name from public.items where id = 500")
                longest[number] = max(longest[number], time.perf_counter() - begin)
                time.sleep(0.002)

    readers = [threading.Thread(target=read, args=(n,)) for n in range(_READERS)]
    for reader in readers:
        reader.start()
    time.sleep(0.3)
    longest[:] = [0.0] * _READERS
    meanwhile()
    time.sleep(0.1)
    stop.set()
    for reader in readers:
        reader.join()
    return max(longest)


def _against_holder(address: Address, migrate, waited: list[float]) -> None:
    """Run `migrate` while another transaction holds the table for HOLD_SECONDS; notes the seconds until it is done."""
    begin = time.monotonic()
    with session(address, "holder", lock_timeout_ms=0, statement_timeout_ms=0, autocommit=False) as holder:
        holder.execute("select count(*) from public.items")
        worker = threading.Thread(target=migrate, args=(address,))
        worker.start()
        time.sleep(HOLD_SECONDS)
        holder.rollback()
        worker.join()
    waited.append(time.monotonic() - begin)


def _plain(address: Address) -> None:
    with session(address, "peer", lock_timeout_ms=0, statement_timeout_ms=0) as connection:
        connection.execute("alter table public.items add column plain text")


def _ours(address: Address) -> None:
    with session(address, "bench", autocommit=False) as connection:
        needed = [HeldLock("public.items", "AccessExclusiveLock", 0.0)]
        take_locks(connection, needed, LockSettings(), lambda _text: None)
        connection.execute("alter table public.items add column ours text")
        connection.commit()
