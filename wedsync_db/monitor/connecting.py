"""How long it takes to open a session: what every client without a pool waits for first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from wedsync_db.errors import WedsyncError
from wedsync_db.monitor.metrics import Metric
from wedsync_db.postgres.session import Address, session

CONNECT = Metric("connect", "gauge", "seconds")


def connect_time(
    address: Address, clock: Callable[[], float] = time.perf_counter
) -> tuple[Mapping[Metric, float | None], tuple[str, ...]]:
    """From nothing to a session: network or socket, TLS, login, settings. Unknown, with the reason, without one."""
    began = clock()
    try:
        with session(address, "connect"):
            return {CONNECT: clock() - began}, ()
    except WedsyncError as error:
        return {CONNECT: None}, (f"connect: {error.message}",)
