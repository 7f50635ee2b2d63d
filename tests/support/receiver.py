"""Somebody who is told: an HTTP server on loopback that records what arrives, or that does not behave."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "a-token-like-T0K3N-9c2e"  # in the path, where Slack and others have theirs
BLOCK = "custom-webhook/ops"


@dataclass
class Receiver:
    """`messages` are subjects and bodies in the order they came; `status` is what each is answered with."""

    url: str = ""
    status: int = 200
    messages: list[tuple[str, str]] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    @property
    def subjects(self) -> list[str]:
        return [subject for subject, _ in self.messages]

    @property
    def bodies(self) -> list[str]:
        return [body for _, body in self.messages]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver, until the block ends. Where `go_on` is cleared it takes a message and does not answer."""
    receiver = Receiver()
    receiver.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.messages.append((told["subject"], told["body"]))
            receiver.go_on.wait(60)
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/{TOKEN}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.go_on.set()
            server.shutdown()
            thread.join()


@contextmanager
def mailbox() -> Iterator[tuple[int, list[str]]]:
    """A mail server's port on loopback, and the messages that came, until the block ends."""
    letters: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 here\r\n")
            while (line := self.rfile.readline().strip().upper()) not in (b"", b"QUIT"):
                self.wfile.write(b"354 go on\r\n" if line == b"DATA" else b"250 ok\r\n")
                if line == b"DATA":
                    letters.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                    self.wfile.write(b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], letters
        finally:
            server.shutdown()
            thread.join()


def webhook(url: str) -> dict:
    """The values of a custom webhook block that sends what a receiver understands."""
    return {"name": "ops", "url": url, "json_data": {"subject": "{{subject}}", "body": "{{body}}"}}
