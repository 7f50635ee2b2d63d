"""Who has which connection of a pool: lent, given back, and watched by a thread that tells of those kept too long."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from wedsync_db.pool.leaks import Borrowed, Leak, leak, newly_leaked, next_look, stack

log = logging.getLogger("wedsync_db.pool")
Report = Callable[[Leak], None]


def log_leak(found: Leak) -> None:
    """Write it to the log `wedsync_db.pool`, the stack only the first time."""
    calls = () if found.returned else found.stack
    log.warning("%s", "\n    ".join([found.line, *calls]))


@dataclass(frozen=True, slots=True)
class Usage:
    """What the borrowers did: times in seconds since the pool was opened, the others as of now, or ever."""

    borrowed: int  # now
    late: int  # of these, out for longer than allowed
    leaks: int  # ever
    used_seconds: float
    waited_seconds: float


class Ledger:
    """Keeps account of a pool's connections. It only tells: a connection that is kept is never taken away."""

    def __init__(self, pool: str, allowed_seconds: float, report: Report) -> None:
        self._pool, self._allowed, self._report = pool, allowed_seconds, report
        self._lock = threading.Lock()
        self._out: dict[int, Borrowed] = {}
        self._told: set[int] = set()
        self._numbers = self._leaks = 0
        self._used = self._waited = 0.0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name=f"{pool}-leaks", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._watcher.start()

    def stop(self) -> None:
        """Watch no longer; what is out then is still told of when it comes back."""
        self._over.set()
        self._watcher.join()

    def lend(self, pid: int | None, asked_at: float) -> int:
        """Note that the caller's caller has a connection from now on; the number is for `take_back`."""
        now, calls, thread = time.monotonic(), stack(), threading.current_thread().name
        with self._lock:
            self._numbers = number = self._numbers + 1
            self._waited += now - asked_at
            self._out[number] = Borrowed(number, now, thread, pid, calls)
        return number

    def take_back(self, number: int) -> None:
        """Note that it came back, and tell of it if it was late."""
        now = time.monotonic()
        with self._lock:
            one = self._out.pop(number)
            self._used += now - one.at
            late = number in self._told
            self._told.discard(number)
        if late:
            self._tell(leak(self._pool, one, now, returned=True))

    def waited_in_vain(self, asked_at: float) -> None:
        """Count the time of a request that got none."""
        with self._lock:
            self._waited += time.monotonic() - asked_at

    def usage(self) -> Usage:
        """What the borrowers did so far; connections that are out count up to now."""
        now = time.monotonic()
        with self._lock:
            used = self._used + sum(now - one.at for one in self._out.values())
            return Usage(len(self._out), len(self._told), self._leaks, used, self._waited)

    def _watch(self) -> None:
        wait = self._allowed
        while not self._over.wait(wait):
            now = time.monotonic()
            with self._lock:
                late = newly_leaked(self._out.values(), self._told, now, self._allowed)
                self._told |= {one.number for one in late}
                self._leaks += len(late)
                wait = next_look(self._out.values(), self._told, now, self._allowed)
            for one in late:
                self._tell(leak(self._pool, one, now, returned=False))

    def _tell(self, found: Leak) -> None:
        try:
            self._report(found)
        except Exception:  # whoever borrows, and the watcher, must not suffer from a report
            log.exception("a leak could not be reported")
