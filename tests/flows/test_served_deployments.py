"""Deployments as `up` serves them: server, worker and flow are processes of their own, and are stopped and killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.broken import lay_base, once_backed_up, switch_on
from tests.support.case import Case
from wedsync_db.filelock import lock_file, try_alone
from wedsync_db.installation import CHECKOUT
from wedsync_db.migrate.deployment import take_fingerprint

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]

_SECONDS = 120.0
SLEEP = "do $$ begin if exists (select from public.switch) then perform pg_sleep(100); end if; end $$;"


@dataclass(frozen=True)
class Served:
    """A running `up`, and what is asked of its server."""

    process: subprocess.Popen[bytes]
    api: str
    said: Path

    def start(self, environment: str) -> str:
        deployment = self.ask("/deployments/name/deploy/deploy")["id"]
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

    def ask(self, path: str, body: object = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json"})
        for _ in range(10):
            try:
                with urllib.request.urlopen(request, timeout=20) as reply:
                    return json.load(reply)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code != 503:  # SQLite is locked for a moment
                    raise
                time.sleep(0.5)
        raise AssertionError("the server's database stays locked")


def until(done: Callable[[], object], seconds: float = _SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)


@pytest.fixture
def served(case, tmp_path) -> Iterator[Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = tmp_path / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows", "up", "--port", str(port)],
            cwd=CHECKOUT,
            env=os.environ | {"PREFECT_WORKER_QUERY_SECONDS": "2"},
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: process.poll() is not None or "Prefect UI" in said.read_text())
        assert process.poll() is None, said.read_text()
        yield Served(process, f"http://127.0.0.1:{port}/api", said)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_SECONDS)


def deployments(case: Case) -> list[tuple]:
    return case.rows("select status, epoch from wedsync_db.deployment order by started_at")


def runner(case: Case) -> int:
    ((name,),) = case.rows("select runner from wedsync_db.deployment where status = 'running'")
    return int(re.search(r"pid (\d+)", name)[1])


def sleeps(case: Case) -> bool:
    return case.rows("select exists (select from pg_stat_activity where wait_event = 'PgSleep')")[0][0]


def start_and_wait_in_the_middle(served: Served, case: Case) -> str:
    """A deployment whose first migration is committed and whose second one runs."""
    case.rows("delete from public.switch returning 1")
    with once_backed_up(case, switch_on):
        run = served.start("case_each")
        until(lambda: sleeps(case))
    return run


def test_a_served_deployment_works_is_killed_and_is_stopped(case, served):
    lay_base(case)
    run = served.start("case_each")
    until(lambda: served.state(run) in ("COMPLETED", "FAILED", "CRASHED"))
    assert served.state(run) == "COMPLETED", served.logs(run)
    assert served.page(run, "result-case-each").startswith("# Deployed")
    before = take_fingerprint(case.address).digest

    case.migration("0002_fine", "create table public.fine (id int);", "drop table public.fine;")
    case.migration("0003_slow", f"create table public.slow (id int);\n{SLEEP}", "drop table public.slow;")
    run = start_and_wait_in_the_middle(served, case)
    os.kill(runner(case), signal.SIGKILL)
    until(lambda: deployments(case)[-1] == ("rolled_back", 2))
    until(lambda: served.page(run, "result-case-each"))
    assert served.state(run) == "CRASHED"
    assert served.page(run, "result-case-each").startswith("# Interrupted: undone")
    until(lambda: "reverted 0002_fine" in served.logs(run))  # lines are sent in batches, and arrive later than pages
    assert take_fingerprint(case.address).digest == before

    start_and_wait_in_the_middle(served, case)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(_SECONDS) == 0
    assert "cancelling deploy-case_each" in served.said.read_text()
    assert deployments(case)[-1] == ("rolled_back", 2)
    assert take_fingerprint(case.address).digest == before
    assert not list(case.installation.home.scratch.iterdir())
    with lock_file(case.installation.home.prefect / "up") as lock:
        assert try_alone(lock), "server and worker have ended: they hold the lock as long as they live"
