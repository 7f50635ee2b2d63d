"""Connections of the generator: thousands in a moment, and one that does not hold up the process' other threads."""

from __future__ import annotations

import select
import time
from concurrent.futures import ThreadPoolExecutor

from psycopg import pq

from wedsync_db.postgres.session import CONNECT_TIMEOUT_SECONDS

_AT_ONCE = 8  # more only wait for each other: whoever takes them is one process
_WAITING = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}


def connect(conninfo: str) -> pq.abc.PGconn:
    """A connection, or what came of trying for ten seconds: its status says which.

    libpq's own way to wait for it keeps the interpreter to itself, and with it every other thread of the process.
    """
    connection = pq.PGconn.connect_start(conninfo.encode())
    end = time.monotonic() + CONNECT_TIMEOUT_SECONDS
    while connection.status != pq.ConnStatus.BAD:
        wanted = _WAITING.get(pq.PollingStatus(connection.connect_poll()))
        if wanted is None:
            break  # it is there, or never will be
        waiting = select.poll()
        waiting.register(connection.socket, wanted)
        if not waiting.poll(max(0.0, end - time.monotonic()) * 1000):
            break
    return connection


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
