"""A client that reads all the time and must notice nothing of a deployment, except that a killed server is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from wedsync_db.errors import Unreachable
from wedsync_db.postgres.session import Address, session

_PAUSE_SECONDS = 0.005


@dataclass
class Readings:
    """`seen` are the distinct answers; `errors` are all but lost connections, of which there were `disconnected`."""

    count: int = 0
    disconnected: int = 0
    seen: set[tuple] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


@contextmanager
def reading(address: Address, statement: str) -> Iterator[Readings]:
    """Ask `statement` until the block ends; survives a server that is killed and comes back."""
    found = Readings()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                with session(address, "reader", lock_timeout_ms=0, statement_timeout_ms=0) as connection:
                    _read_on(connection, statement, found, stop)
            except Unreachable:
                found.disconnected += 1
                stop.wait(0.1)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def _read_on(connection: psycopg.Connection, statement: str, found: Readings, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            found.seen.update(connection.execute(statement).fetchall())
            found.count += 1
        except psycopg.Error as error:
            if connection.closed:
                found.disconnected += 1
                return
            found.errors.append(f"{error.sqlstate} {error.diag.message_primary}")
        time.sleep(_PAUSE_SECONDS)
