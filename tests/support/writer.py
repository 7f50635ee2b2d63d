"""A client that inserts and updates all the time and remembers what the server acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from wedsync_db.postgres.session import Address, session


@dataclass
class Acknowledged:
    """Every key with the last value that was acknowledged; `unsure` are those in flight when the server died."""

    values: dict[int, str] = field(default_factory=dict)
    unsure: dict[int, set[str]] = field(default_factory=dict)
    between: threading.Lock = field(default_factory=threading.Lock)  # held while a write is under way

    def lost(self, connection: psycopg.Connection) -> list[int]:
        """Keys whose acknowledged value is not in the table; empty if nothing was lost. The writer waits meanwhile."""
        with self.between:
            there = dict(connection.execute("select id, value from public.writes").fetchall())
            return [
                key
                for key, value in self.values.items()
                if there.get(key) != value and there.get(key) not in self.unsure.get(key, ())
            ]


@contextmanager
def writing(address: Address) -> Iterator[Acknowledged]:
    """Write into public.writes (id, value) until the block ends; survives a server that is killed and comes back."""
    done = Acknowledged()
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            try:
                with session(address, "writer", lock_timeout_ms=0, statement_timeout_ms=0) as connection:
                    while not stop.is_set():
                        number += 1
                        with done.between:
                            _write_once(connection, number, done)
                        time.sleep(0.005)
            except Exception:  # noqa: BLE001 the server was killed, or is not back yet
                stop.wait(0.1)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def _write_once(connection: psycopg.Connection, number: int, done: Acknowledged) -> None:
    for key, value, statement in (
        (number, f"v{number}", "insert into public.writes (id, value) values (%(key)s, %(value)s)"),
        (max(1, number // 2), f"u{number}", "update public.writes set value = %(value)s where id = %(key)s"),
    ):
        done.unsure.setdefault(key, set()).add(value)
        # no row: its insert was in flight when the server died, and did not happen
        if connection.execute(statement, {"key": key, "value": value}).rowcount:
            done.values[key] = value
        done.unsure[key].discard(value)
