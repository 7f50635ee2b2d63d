"""Connections of the generator: thousands in a moment, and one that does not hold up the process' other threads."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
from psycopg import pq

from wedsync_db.postgres.session import CONNECT_TIMEOUT_SECONDS

_AT_ONCE = 8  # more only wait for each other: whoever takes them is one process
_WAITING = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}


def connect(conninfo: str) -> pq.abc.PGconn:
    """A connection, or what came of trying for ten seconds: its status says which."""
    connection = pq.PGconn.connect_start(conninfo.encode())
    _settle(connection, connection.connect_poll)
    return connection


def reconnect(connection: pq.abc.PGconn) -> None:
    """Try for ten seconds to have it again, after it was lost."""
    with suppress(psycopg.OperationalError):
        connection.reset_start()
        _settle(connection, connection.reset_poll)


def _settle(connection: pq.abc.PGconn, step: Callable[[], int]) -> None:
    """Wait until it is there, or never will be.

    libpq's own way to wait keeps the interpreter to itself, and with it every other thread of the process.
    """
    end = time.monotonic() + CONNECT_TIMEOUT_SECONDS
    state = pq.PollingStatus.WRITING  # as libpq wants it before the first step
    while connection.status != pq.ConnStatus.BAD and state in _WAITING:
        waiting = select.poll()
        waiting.register(connection.socket, _WAITING[state])
        if not waiting.poll(max(0.0, end - time.monotonic()) * 1000):
            return
        state = pq.PollingStatus(step())


def connections(conninfo: str, many: int) -> list[pq.abc.PGconn]:
    """So many connections, all of them open.

    Raises:
        ConnectionError: one is not to be had.
    """

    def required(_: int) -> pq.abc.PGconn:
        found = connect(conninfo)
        if found.status != pq.ConnStatus.OK:
            raise ConnectionError(found.get_error_message())
        return found

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(required, range(many)))
