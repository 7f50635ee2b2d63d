"""How long it takes to open a session: what every client without a pool waits for first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import psycopg

from wedsync_db.errors import WedsyncError
from wedsync_db.monitor.metrics import Metric
from wedsync_db.postgres.server import lost_settings
from wedsync_db.postgres.session import Address, session

THROUGH_POOLER = "connect: a pooler answers that takes no settings: give the server's own address"
CONNECT = Metric("connect", "gauge", "seconds")


def connect_time(
    address: Address, clock: Callable[[], float] = time.perf_counter
) -> tuple[Mapping[Metric, float | None], tuple[str, ...]]:
    """From nothing to a session: network or socket, TLS, login, settings. Unknown, with the reason, without one.

    A pooler that answers instead of the server is a problem, too: it is quick, and what else is asked through it may
    wait for locks, as it takes no timeouts.
    """
    began = clock()
    try:
        with session(address, "connect") as connection:
            took = clock() - began
            return {CONNECT: took}, (THROUGH_POOLER,) if lost_settings(connection) else ()
    except (WedsyncError, psycopg.Error) as error:
        why = error.message if isinstance(error, WedsyncError) else f"the session was lost ({error.sqlstate})"
        return {CONNECT: None}, (f"connect: {why}",)
