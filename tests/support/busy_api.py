"""A proxy before Prefect's API that is as bad as a loaded server: it answers 503 now and then, and loses replies."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_EVERY = 9  # so many requests get one 503
_HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
_SECONDS = 60


@dataclass
class BusyApi:
    """`url` in place of the server's own; `busy` requests got 503 unseen, `lost` were carried out and got 503."""

    port: int  # of the server behind it
    url: str = ""
    busy: int = 0
    lost: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _started: set[bytes] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def turned_away(self) -> bool:
        with self._lock:
            away = next(self._numbers) % _EVERY == 0
            self.busy += away
            return away

    def loses_reply(self, path: str, body: bytes) -> bool:
        """To the first of all requests that ask for the same run."""
        with self._lock:
            if not path.endswith("/create_flow_run") or body in self._started:
                return False
            self._started.add(body)
            self.lost += 1
            return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: BusyApi

    def handle_error(self, request, client_address) -> None:
        """Clients go away in the middle, that is their right."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        if self.headers.get("Upgrade"):
            self._tunnel()
        else:
            self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 http.server calls them so

    def _pass_on(self) -> None:
        api = self.server.api
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if api.turned_away():
            self._answer(503, [("Retry-After", "0")], b"")
            return
        behind = http.client.HTTPConnection("127.0.0.1", api.port, timeout=_SECONDS)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            behind.request(self.command, self.path, body or None, headers)
            reply = behind.getresponse()
            found = reply.read()
        finally:
            behind.close()
        if reply.status < 300 and api.loses_reply(self.path, body):
            self._answer(503, [("Retry-After", "0")], b"")
        else:
            self._answer(reply.status, reply.getheaders(), found)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _tunnel(self) -> None:
        """A web socket: bytes in both directions until one side ends it."""
        self.close_connection = True
        with socket.create_connection(("127.0.0.1", self.server.api.port), timeout=_SECONDS) as behind:
            behind.settimeout(None)
            behind.sendall(f"{self.requestline}\r\n{self.headers}".encode())
            back = threading.Thread(target=_copy, args=(behind, self.connection), daemon=True)
            back.start()
            _copy(self.connection, behind)
            back.join()

    def log_message(self, *_args) -> None:
        pass


def _copy(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
    for end in (source, to):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def busy_api(port: int) -> Iterator[BusyApi]:
    """The proxy before the Prefect server on a port of this machine, until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.api = BusyApi(port, f"http://127.0.0.1:{server.server_address[1]}/api")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
