"""Run a long statement, and end it when a deployment wants the target, or somebody waits for a lock of ours."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg

from wedsync_db.errors import Displaced, TargetHeld
from wedsync_db.postgres.locks import Holder, announced, held_by
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session

_POLL_SECONDS = 0.5
_CANCEL_SECONDS = 5.0
_PATIENCE_MS = 2_000


class Watch:
    """Looks for deployments from a session of its own, while another one works.

    `wanted_by` is the deployment that announced itself; `is_lost` says that nobody could look any more, or that the
    backend which holds the target for us does so no longer; `waiting` is who waited too long for the statement that was
    run last: autovacuum gives way to whoever wants to change a table, VACUUM by hand does not.
    """

    def __init__(self, looking: psycopg.Connection, lock_pid: int | None = None) -> None:
        self._looking = looking
        self._lock_pid = lock_pid
        self.wanted_by: Holder | None = None
        self.is_lost = False
        self.waiting: str | None = None

    def require_nobody(self) -> None:
        """Look once.

        Raises:
            TargetHeld: a deployment wants the target; the message names it.
            Displaced: the target is not ours any more.
        """
        try:
            self.look()
        except psycopg.Error:
            self.is_lost = True  # a deployment could not make itself heard: nothing goes on without that
        if self.is_lost:
            raise Displaced("the lock on the target was lost", hint="Its session was ended; look at `status`.")
        if self.wanted_by:
            wanted = f"a deployment wants the target: {self.wanted_by}"
            raise TargetHeld(wanted, hint="It comes first; start again later.")

    def look(self) -> None:
        """Look once, and remember."""
        self.wanted_by = self.wanted_by or announced(self._looking)
        self.is_lost = self.is_lost or not (self._lock_pid is None or held_by(self._looking, self._lock_pid))

    @contextmanager
    def cancelling(
        self,
        working: psycopg.Connection,
        progress: Callable[[float], None] = lambda _: None,
        *,
        patience_ms: int = _PATIENCE_MS,
    ) -> Iterator[None]:
        """While the block runs, cancel what `working` does as soon as a deployment is announced, or nobody can look.

        Args:
            working: The session with the statement.
            progress: Gets how far a VACUUM or ANALYZE is, 0 to 1, from a thread of its own: it may take its time.
            patience_ms: How long somebody may wait for a lock that `working` holds; it is ended a little before.
        """
        self.waiting = None
        ended, telling = threading.Event(), _Telling(progress)
        thread = threading.Thread(target=self._until, args=(ended, working, telling, patience_ms), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _until(self, ended: threading.Event, working: psycopg.Connection, telling: _Telling, patience_ms: int) -> None:
        pid = working.info.backend_pid
        while not ended.wait(_POLL_SECONDS):
            try:
                self.look()
                if not self.wanted_by:
                    self.waiting = self.waiting or self._who_waits(pid, patience_ms)
                    self._tell(pid, telling)
            except psycopg.Error:
                self.is_lost = True  # a deployment could not make itself heard: nothing goes on without that
            if self.wanted_by or self.is_lost or self.waiting:
                # again with every turn: one that came before the statement had begun did nothing
                with suppress(psycopg.Error):
                    working.cancel_safe(timeout=_CANCEL_SECONDS)

    def _who_waits(self, pid: int, patience_ms: int) -> str | None:
        early = max(0, patience_ms - round(2 * _POLL_SECONDS * 1000))  # the next look may come too late
        row = self._looking.execute(query("maintenance", "who_waits"), {"pid": pid, "ms": early}).fetchone()
        return row[0] if row else None

    def _tell(self, pid: int, telling: _Telling) -> None:
        row = self._looking.execute(query("maintenance", "progress"), {"pid": pid}).fetchone()
        if row and row[0] is not None:
            telling.tell(row[0])


class _Telling:
    """Tells progress beside the watch, one number at a time: whoever shows it may be slow, or gone."""

    def __init__(self, progress: Callable[[float], None]) -> None:
        self._progress = progress
        self._context = contextvars.copy_context()  # Prefect knows its run by it
        self._thread: threading.Thread | None = None

    def tell(self, fraction: float) -> None:
        """Tell, unless the last number is still being told."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._context.run, args=(self._progress, fraction), daemon=True)
            self._thread.start()


@contextmanager
def watching(address: Address, lock_pid: int | None = None) -> Iterator[Watch]:
    """A watch over this target's announcements, and over the backend `lock_pid` that holds the target for us.

    Raises:
        Unreachable: no session could be opened for it.
    """
    # the login itself may see the progress of its own sessions, the role it acts as may not
    with session(replace(address, role=None), "maintenance-watch") as looking:
        yield Watch(looking, lock_pid)
