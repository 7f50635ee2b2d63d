"""One process of the generator: threads with connections of their own, which take the arrivals in their order.

Where there are more connections than threads, a thread goes round among its own: thousands of clients need no thread
each. Where every arrival has a connection of its own, a thread opens and closes it.

It gets its work on standard input and gives what it measured on standard output, both pickled: no secret is an
argument. Its input is also a leash: when it closes, the run ends.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg import pq

from wedsync_db.load.connecting import connect, connections, reconnect
from wedsync_db.load.handles import raise_handles
from wedsync_db.load.pipe import receive, send
from wedsync_db.load.scripts import TENANT, TENANTS, USER, Composer, Script, tenant_key

PROCESSES = 2  # each has an interpreter lock of its own; on two cores more only take turns
_HEARTBEAT_SECONDS = 0.005
_TELL_SECONDS = 1.0
STOP, READY = b"s", "ready"
ANSWERED, DROPPED = 0, -1
_LOST, _NOT_CONNECTED = "08006", "08001"  # libpq tells no SQLSTATE of a connection that is lost or not to be had


@dataclass(frozen=True, slots=True)
class Work:
    """One process' part of a run. `conninfo` holds a password: it goes through a pipe, never into an argument.

    So many `connections` are held open by as many `senders`, or fewer; none where each arrival opens its own. Arrays
    have an element for each arrival; `draws` has one array for each script's parameter.
    """

    conninfo: str
    connections: int
    senders: int
    scripts: tuple[Script, ...]
    prelude: str
    due: NDArray[np.float64]
    script: NDArray[np.int16]
    user: NDArray[np.int32]
    draws: Mapping[str, NDArray[np.int64]]
    tenants: int
    max_backlog: float
    drain: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a process is: arrivals that were due until now, of these answered, and errors among the answers."""

    due: int
    answered: int
    errors: int
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What was measured, by arrival, in microseconds; -1 where it never came to that.

    `waited` is from due to sent; `late` says that the generator was free when it was due: then waiting is its fault.
    `code` is 0 for an answer, below zero for none, or the number of an error in `errors`. `connect` is how long it took
    to get a connection of its own; `service` has that in it.
    """

    waited: NDArray[np.int64]
    service: NDArray[np.int64]
    late: NDArray[np.bool_]
    code: NDArray[np.int16]
    errors: tuple[str, ...]
    leaks: int
    cpu_seconds: float
    heartbeats: NDArray[np.int64]
    connect: NDArray[np.int64]


class Generator:
    """Sends what is due, when it is due."""

    def __init__(self, work: Work) -> None:
        many = len(work.due)
        self._work = work
        self._composers = [Composer(script, work.prelude) for script in work.scripts]
        self._waited = np.full(many, -1, dtype=np.int64)
        self._service = np.full(many, -1, dtype=np.int64)
        self._late = np.zeros(many, dtype=np.bool_)
        self._connect = np.full(many, -1, dtype=np.int64)
        self._code = np.full(many, DROPPED, dtype=np.int16)
        self._errors: dict[str, int] = {}
        self._leaks = 0
        self._lock = threading.Lock()
        self._next = itertools.count()
        self._stop = threading.Event()
        self._heartbeats: list[int] = []

    def run(self, start: Callable[[], float], tell: Callable[[Progress], None]) -> Taken:
        """Connect, wait for the start (a time of the monotonic clock), and go through all arrivals.

        Raises:
            ConnectionError: a connection is not to be had.
        """
        held = connections(self._work.conninfo, self._work.connections or 1)
        if not self._work.connections:  # it was to be seen whether there are any
            held.pop().finish()
        shares = [held[number :: self._work.senders] for number in range(self._work.senders)]
        at = start()
        cpu = time.process_time()
        threads = [threading.Thread(target=self._loop, args=(one, at), daemon=True) for one in shares]
        for thread in threads:
            thread.start()
        self._wait_for(threads, at, tell)
        return Taken(
            self._waited,
            self._service,
            self._late,
            self._code,
            tuple(self._errors),
            self._leaks,
            time.process_time() - cpu,
            np.asarray(self._heartbeats, dtype=np.int64),
            self._connect,
        )

    def stop(self) -> None:
        """Begin nothing more."""
        self._stop.set()

    def _wait_for(self, threads: Sequence[threading.Thread], at: float, tell: Callable[[Progress], None]) -> None:
        """Until all is done, or the time to drain is over; meanwhile look how late this process is woken."""
        end = at + (float(self._work.due[-1]) if len(self._work.due) else 0.0) + self._work.drain
        told = at
        while any(thread.is_alive() for thread in threads) and time.monotonic() < end:
            before = time.monotonic()
            time.sleep(_HEARTBEAT_SECONDS)
            self._heartbeats.append(int((time.monotonic() - before - _HEARTBEAT_SECONDS) * 1e6))
            if before - told >= _TELL_SECONDS:
                told = before
                tell(self._progress(before - at))
        self.stop()

    def _progress(self, now: float) -> Progress:
        due = int(np.searchsorted(self._work.due, now))
        last = slice(int(np.searchsorted(self._work.due, now - 2 * _TELL_SECONDS)), due)
        done = self._service[last] >= 0
        times = (self._waited[last] + self._service[last])[done]
        return Progress(
            due,
            int((self._code[:due] >= 0).sum()),
            int((self._code[:due] > 0).sum()),
            float(np.percentile(times, 95)) / 1000 if len(times) else None,
        )

    def _loop(self, held: Sequence[pq.abc.PGconn], at: float) -> None:
        work, many, stopped = self._work, len(self._work.due), self._stop.is_set
        turns = itertools.cycle(held)
        while not stopped():
            number = next(self._next)
            if number >= many:
                return
            due = at + float(work.due[number])
            script = int(work.script[number])
            message = self._message(number, script)
            picked = time.monotonic()
            if picked < due:
                time.sleep(due - picked)
                self._late[number] = True
            elif picked - due > work.max_backlog:
                continue  # dropped: its code says so
            if work.connections:
                self._send(next(turns), number, script, message, due)
            else:
                self._send_alone(number, script, message, due)

    def _message(self, number: int, script: int) -> bytes:
        work = self._work
        values = {name: int(work.draws[f"{script}.{name}"][number]) for name in work.scripts[script].draws}
        user = int(work.user[number])
        return self._composers[script].message(
            {USER: user, TENANT: user % work.tenants, TENANTS: work.tenants, **values}
        )

    def _send(self, connection: pq.abc.PGconn, number: int, script: int, message: bytes, due: float) -> None:
        """Send it and keep what came of it. A connection that is gone is an error for whoever comes next, too."""
        sent = time.monotonic()
        result = connection.exec_(message)
        done = time.monotonic()
        self._waited[number] = int((sent - due) * 1e6)
        self._service[number] = int((done - sent) * 1e6)
        if not self._is_answer(result, number, script) and connection.status != pq.ConnStatus.OK:
            reconnect(connection)

    def _send_alone(self, number: int, script: int, message: bytes, due: float) -> None:
        """Open a connection for it, send it, and close the connection."""
        began = time.monotonic()
        self._waited[number] = int((began - due) * 1e6)
        connection = connect(self._work.conninfo)
        try:
            if connection.status == pq.ConnStatus.OK:
                self._connect[number] = int((time.monotonic() - began) * 1e6)
                result = connection.exec_(message)
                self._service[number] = int((time.monotonic() - began) * 1e6)
                self._is_answer(result, number, script)
            else:
                self._service[number] = int((time.monotonic() - began) * 1e6)
                self._code[number] = self._error(_NOT_CONNECTED)
        finally:
            connection.finish()

    def _is_answer(self, result: pq.abc.PGresult, number: int, script: int) -> bool:
        """Whether it is one and no error; keeps which."""
        if result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            self._code[number] = ANSWERED
            self._check_tenant(result, number, script)
            return True
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        self._code[number] = self._error(state.decode() if state else _LOST)
        return False

    def _check_tenant(self, result: pq.abc.PGresult, number: int, script: int) -> None:
        """Every row is one of the user's own tenant."""
        work = self._work
        column = work.scripts[script].tenant_column
        if column is None:
            return
        mine = tenant_key(int(work.user[number]) % work.tenants).encode()
        for row in range(result.ntuples):
            if result.get_value(row, column) != mine:
                with self._lock:
                    self._leaks += 1

    def _error(self, state: str) -> int:
        """The number of an SQLSTATE, from 1 on."""
        with self._lock:
            return self._errors.setdefault(state, len(self._errors) + 1)


def main() -> None:
    """Take the work, say that the connections are there, begin when told, and give back what was measured."""
    into, out = sys.stdin.buffer, sys.stdout.buffer
    raise_handles()
    generator = Generator(receive(into))

    def start() -> float:
        send(out, READY)
        at: float = receive(into)
        threading.Thread(target=leash, daemon=True).start()
        return at

    def leash() -> None:
        if into.read(1) != STOP:
            os._exit(1)  # whoever started us is gone: the server ends our sessions
        generator.stop()

    try:
        send(out, generator.run(start, lambda progress: send(out, progress)))
    except ConnectionError as error:
        send(out, str(error))
