"""Work that goes on beside a run, and is waited for at its end, but not for long."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable

from tasks.running import logger


class Beside:
    """Threads of one kind of work; `late` is said of each that is still at it when nobody waits any longer."""

    def __init__(self, late: str) -> None:
        self._late = late
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], object]) -> None:
        """Begin some of it, in the context of the run that is current."""
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def wait(self, seconds: float) -> None:
        """Give all of it so long: it ends with the process."""
        deadline = time.monotonic() + seconds
        while self._threads:
            thread = self._threads.pop()
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                logger.warning(self._late)
