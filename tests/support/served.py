"""A running `up`: server, worker and flows are processes of their own."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import waiting
from wedsync_db.installation import CHECKOUT

SECONDS = 300.0


def until(done: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait for something to come true; a server that is asked more often gets slower."""
    waiting.until(done, seconds, every=0.3)


@dataclass(frozen=True)
class Asked:
    """What is asked of a Prefect server, over HTTP as a person's browser does."""

    api: str

    def start(self, environment: str, flow: str = "deploy") -> str:
        deployment = self.ask(f"/deployments/name/{flow}/{flow}")["id"]
        wanted = {"parameters": {"environment": environment}, "state": {"type": "SCHEDULED"}}
        return self.ask(f"/deployments/{deployment}/create_flow_run", wanted)["id"]

    def state(self, run: str) -> str:
        return self.ask(f"/flow_runs/{run}")["state"]["type"]

    def logs(self, run: str) -> str:
        found = self.ask("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"})
        return "\n".join(line["message"] for line in found)

    def page(self, run: str, key: str) -> str:
        found = self.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}, "key": {"any_": [key]}}})
        return "\n".join(artifact["data"] for artifact in found)

    def ask(self, path: str, body: object = None, method: str | None = None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if login := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        request = urllib.request.Request(self.api + path, data, headers, method=method)
        for _ in range(20):
            try:
                with urllib.request.urlopen(request, timeout=20) as reply:
                    return json.loads(reply.read() or b"null")
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 503:  # SQLite is locked for a moment
                    raise
                time.sleep(0.5)
        raise AssertionError("the server's database stays locked")


@dataclass(frozen=True)
class Served(Asked):
    """A running `up`, and what is asked of its server."""

    process: subprocess.Popen[bytes]
    said: Path


@contextmanager
def serving(tmp_path: Path) -> Iterator[Served]:
    """`up`, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = tmp_path / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows", "up", "--port", str(port)],
            cwd=CHECKOUT,
            env=os.environ | {"PREFECT_WORKER_QUERYSECONDS": "2"},
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: process.poll() is not None or "Prefect UI" in said.read_text())
        assert process.poll() is None, said.read_text()
        served = Served(f"http://127.0.0.1:{port}/api", process, said)
        monitor = served.ask("/deployments/name/monitor/monitor")["id"]
        served.ask(f"/deployments/{monitor}/pause_deployment", {})  # each minute, a process that nobody waits for
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)
