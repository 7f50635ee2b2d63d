"""A TCP proxy on the loopback between a runner and its server, that fails as networks do: slow, reset, or silent.

Silent means really silent: a filter on the proxy's sockets lets the kernel throw away what arrives, so that neither
side gets an answer, not even to a keepalive probe. A proxy that only stopped reading would still acknowledge.
"""

from __future__ import annotations

import ctypes
import random
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal, Self

from wedsync_db.postgres.session import Address

How = Literal["reset", "drop"]
_ATTACH_FILTER, _DETACH_FILTER = 26, 27  # SO_ATTACH_FILTER and SO_DETACH_FILTER of Linux
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s
_CHUNK, _FIRST = 65536, 500


@dataclass(eq=False)
class _Link:
    """One session: the runner's end and the server's, and what passed so far. Its own thread alone closes the two."""

    client: socket.socket
    server: socket.socket
    first: bytes = b""  # what the runner began with, its application_name among it
    sent: bytes = b""  # by the runner; its end is enough to know what was asked
    marked: bool = False
    ended: How | None = None


@dataclass(frozen=True)
class Cut:
    """When and how to cut, once: at a byte of all that passes, or at a text that a runner sends.

    `lost` tells what of a request with that text: itself, so that it never arrives; the session, as soon as it has
    arrived; or its answer. `only` cuts the sessions of that name; otherwise the whole network is gone. It is back for
    new sessions `back_after` seconds later; those that were cut stay as they are. `then` is called at that moment.
    """

    how: How = "reset"
    at: int | None = None
    text: bytes | None = None
    lost: Literal["request", "session", "answer"] = "session"
    only: bytes = b""
    back_after: float = 0.0
    then: Callable[[], None] = lambda: None


class Proxy:
    """Runs from `with` to its end. `port` is where to connect; `passed` counts the bytes in both directions."""

    def __init__(self, to: tuple[str, int], cut: Cut | None = None, *, delay: float = 0.0, jitter: float = 0.0) -> None:
        self.cut, self.done, self.passed = cut, False, 0
        self._to, self._delay, self._jitter = to, delay, jitter
        self._rng = random.Random(1)
        self._links: list[_Link] = []
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._gone_until = 0.0  # by the monotonic clock
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def break_off(self, how: How = "reset", back_after: float = 0.0, only: bytes = b"") -> None:
        """Cut every session now, or those of a name, and let no new one in for so many seconds."""
        with self._lock:
            self._gone_until = time.monotonic() + back_after
            _deaf(self._listener, deaf=how == "drop" and back_after > 0)
            for link in self._links:
                if only in link.first:
                    _end(link, how)

    def end_silence(self) -> None:
        """Let the silent sessions end at last, on both sides."""
        for link in self._links:
            if link.ended == "drop":
                _reset(link.client)
                _reset(link.server)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for link in self._links:
            for end in (link.client, link.server):
                _reset(end)
        self._listener.close()

    def _accept(self) -> None:
        self._listener.settimeout(0.02)
        while not self._over.is_set():
            with self._lock:
                gone = time.monotonic() < self._gone_until
                if not gone:
                    _deaf(self._listener, deaf=False)
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                if gone:
                    _reset(client)
                else:
                    self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._to)
        except OSError:
            _reset(client)
            return
        for end in (client, server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(client, server)
        with self._lock:
            self._links.append(link)
        threading.Thread(target=self._carry, args=(link,), daemon=True).start()

    def _carry(self, link: _Link) -> None:
        with selectors.DefaultSelector() as selector:
            for end in (link.client, link.server):
                selector.register(end, selectors.EVENT_READ)
            while link.ended is None and not self._over.is_set():
                for key, _ in selector.select(0.02):
                    with suppress(OSError):
                        self._pass_on(link, key.fileobj)
                        continue
                    _end(link, "reset")
        if link.ended != "drop":
            for end in (link.client, link.server):
                _reset(end)

    def _pass_on(self, link: _Link, source: socket.socket) -> None:
        if link.ended is not None:
            return
        data = source.recv(_CHUNK)
        if not data:
            _end(link, "reset")
        if self._delay:
            time.sleep(max(0.0, self._delay + self._rng.uniform(-self._jitter, self._jitter)))
        asking = source is link.client
        if asking and len(link.first) < _FIRST:  # it may ask for encryption before it says who it is
            link.first += data
        with self._lock:
            keep, strikes = self._judge(link, data, asking=asking)
            self.passed += keep
        (link.server if asking else link.client).sendall(data[:keep])
        if strikes:
            self._strike()

    def _judge(self, link: _Link, data: bytes, *, asking: bool) -> tuple[int, bool]:
        """How many of these bytes still pass, and whether the cut comes then."""
        cut, everything = self.cut, (len(data), False)
        if cut is None or self.done:
            return everything
        if cut.at is not None:
            left = cut.at - self.passed
            return (max(0, left), True) if left < len(data) else everything
        if link.marked and not asking:
            return 0, True  # the answer is there, and does not arrive
        if cut.text is None or not asking:
            return everything
        link.sent = (link.sent + data)[-_CHUNK:]
        if cut.text not in link.sent:
            return everything
        link.marked, link.sent = True, b""
        return (0 if cut.lost == "request" else len(data), cut.lost != "answer")

    def _strike(self) -> None:
        cut = self.cut
        with self._lock:
            if cut is None or self.done:
                return
            self.done = True
        cut.then()
        self.break_off(cut.how, cut.back_after, cut.only)


@contextmanager
def through(address: Address, cut: Cut | None = None, **more: float) -> Iterator[tuple[Proxy, Address]]:
    """A proxy before a server that listens on TCP, and the address that leads through it."""
    with Proxy((address.host, address.port), cut, **more) as proxy:
        yield proxy, replace(address, port=proxy.port)


def _end(link: _Link, how: How) -> None:
    """For its own thread to carry out; deaf it is at once."""
    if link.ended is None:
        link.ended = how
        if how == "drop":
            _deaf(link.client, deaf=True)
            _deaf(link.server, deaf=True)


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    end.close()


def _deaf(end: socket.socket, *, deaf: bool) -> None:
    """Let the kernel throw away all that arrives here, or let it in again."""
    with suppress(OSError):
        if not deaf:
            end.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)
            return
        nothing = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: keep 0 bytes of a packet
        end.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HxxxxxxP", 1, ctypes.addressof(nothing)))
