"""What the deployment flow costs beside its steps, with a Prefect server running; budget: 2 s."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.case import database, environ_of, write_settings
from wedsync_db.home import Home
from wedsync_db.installation import CHECKOUT
from wedsync_db.postgres.cluster import scratch

ROUNDS = 5


def measure() -> str:
    folder = Path(tempfile.mkdtemp(prefix="wedsync-bench-"))
    folder.chmod(0o711)
    write_settings(folder)
    with scratch(18) as cluster, database(cluster, "overhead") as address, prefect_server(folder) as api:
        environ = {**os.environ, **environ_of(folder, Home(folder / "home").path, address)}
        environ |= {"PREFECT_API_URL": api, "PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}
        runs = []
        for number in range(1, ROUNDS + 2):
            _migration(folder, number)
            runs.append(_deploy(environ))
    return _table(runs[1:])


def _table(runs: list[dict[str, float]]) -> str:
    header = "| | median s | min s | max s |\n|---|---|---|---|"
    rows = [
        _row("whole process, `deploy`", [r["process"] for r in runs]),
        _row("the steps' own time", [r["steps"] for r in runs]),
        _row("flow without its steps (budget 2)", [r["flow"] - r["steps"] for r in runs]),
        _row("process without its steps", [r["process"] - r["steps"] for r in runs]),
    ]
    title = f"## The deployment flow without its steps ({ROUNDS} runs, Prefect server running)"
    return "\n".join([title, "", "The process is Python's start, Prefect's import and the flow.", "", header, *rows])


def _row(name: str, seconds: list[float]) -> str:
    return f"| {name} | {statistics.median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} |"


def _migration(folder: Path, number: int) -> None:
    path = folder / "migrations" / f"{number:04}_table"
    path.mkdir(parents=True)
    (path / "deploy.sql").write_text(f"create table public.t{number} (id bigint primary key);\n")
    (path / "revert.sql").write_text(f"drop table public.t{number};\n")


def _deploy(environ: dict[str, str]) -> dict[str, float]:
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _TIMED], env=environ, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True
    )
    return {"process": time.perf_counter() - begin, **json.loads(done.stdout.splitlines()[-1])}


# the flow as the command line runs it, with the time spent inside the steps added up
_TIMED = """
import functools, json, time
from flows.local_runs import prepare, run
from wedsync_db.installation import this_installation
prepare(this_installation())
import tasks.running as running
spent, depth, telling = [0.0], [0], running._telling_errors
def timed(function):
    inner = telling(function)
    @functools.wraps(function)
    def call(*args, **kwargs):
        begin, depth[0] = time.perf_counter(), depth[0] + 1
        try:
            return inner(*args, **kwargs)
        finally:
            depth[0] -= 1
            if not depth[0]:
                spent[0] += time.perf_counter() - begin
    return call
running._telling_errors = timed
from flows.deploy import deploy
begin = time.perf_counter()
run(lambda: deploy("case", return_state=True))
print(json.dumps({"flow": time.perf_counter() - begin, "steps": spent[0]}))
"""


@contextmanager
def prefect_server(folder: Path) -> Iterator[str]:
    """A Prefect server of its own in a folder, until the block ends; yields the address of its API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    environ = {**os.environ, "PREFECT_HOME": str(folder / "prefect"), **quiet}
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
        env=environ, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        server.terminate()
        server.wait()
