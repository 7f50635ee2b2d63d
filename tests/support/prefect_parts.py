"""Prefect's server and worker as processes of their own, to be killed and started again one by one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.prefect_targets import Target
from tests.support.processes import with_environ
from tests.support.served import SECONDS, Asked, until
from wedsync_db.cli.serving import _QUIET, POOL, _register
from wedsync_db.home import Home
from wedsync_db.installation import CHECKOUT

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass(frozen=True)
class Parts(Asked):
    """What `up` starts, without `up`: nobody looks after these but the test."""

    home: Home
    environ: Mapping[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_server(self) -> None:
        port = self.api.split(":")[2].split("/")[0]
        self._start("server", "server", "start", "--host", "127.0.0.1", "--port", port)
        until(self.answers)

    def start_worker(self) -> None:
        self._start("worker", "worker", "start", "--pool", POOL, "--type", "process", "--name", "local")

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.api}/health", timeout=2):
                return True
        except OSError:
            return False

    def assert_clean(self) -> None:
        """After ten seconds no run's process is left, nor one that it started, and no scratch server."""
        until(lambda: not [pid for pid in self.processes() if _is_of_a_run(pid)], 10)
        assert not list(self.home.scratch.iterdir())

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the part a signal and wait for its end. Its runs are processes of their own, and are not waited for."""
        process = self.running.pop(name)
        process.send_signal(number)
        process.wait(SECONDS)

    def processes(self) -> list[int]:
        """Everything that works for this server: itself, the worker, and what the worker started."""
        return [pid for pid in with_environ(f"PREFECT_API_URL={self.api}") if is_alive(pid)]

    def mend(self) -> None:
        """Start what an earlier test killed."""
        if "server" not in self.running:
            self.start_server()
        if "worker" not in self.running:
            self.start_worker()

    def hold(self, *targets: Target) -> list[str]:
        """Start a deployment of each and wait until they come to a gate that is shut on the target."""
        runs = [self.start(target.name) for target in targets]
        for run, target in zip(runs, targets, strict=True):
            self.until(run, target.is_held)
        return runs

    def until(self, run: str, done: Callable[[], object]) -> None:
        """Wait for what a run comes to; should it end before, what it says is shown."""
        until(lambda: done() or (self.answers() and self.state(run) in ENDED))
        assert done(), f"{self.ask(f'/flow_runs/{run}')['state']}\n{self.logs(run)}"

    def ended(self, run: str, how: str) -> None:
        """Wait for the end of a run, which must be of this type."""
        self.until(run, lambda: self.state(run) == how)

    def tells(self, run: str, target: Target, what: str) -> None:
        """Wait for the run's page, which arrives after its state."""
        until(lambda: self.page(run, f"result-{target.name}"))
        page = self.page(run, f"result-{target.name}")
        assert page.startswith(what), page

    def cancel(self, run: str) -> None:
        """What the button does."""
        self.ask(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})

    def reconcile(self, target: Target) -> str:
        """Run the flow that a schedule starts otherwise, on one target; what it says."""
        run = self.start(target.name, "reconcile")
        self.ended(run, "COMPLETED")
        return self.ask(f"/flow_runs/{run}")["state"]["message"]

    def _start(self, name: str, *arguments: str) -> None:
        with (self.home.prefect / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "prefect", *arguments],
                cwd=CHECKOUT,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@contextmanager
def serving(home: Home, environ: Mapping[str, str]) -> Iterator[Parts]:
    """A server with the deployments of prefect.yaml, nothing of them scheduled, and a worker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        api = f"http://127.0.0.1:{probe.getsockname()[1]}/api"
    temporary = home.path.parent / "tmp"  # a worker that is killed leaves folders
    temporary.mkdir()
    more = {
        "TMPDIR": str(temporary),
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_API_URL": api,
        "PREFECT_WORKER_QUERYSECONDS": "2",
    }
    made = Parts(api, home, {**os.environ, **environ, **_QUIET, **more})
    try:
        made.start_server()
        _register(made.environ, CHECKOUT)
        for deployment in made.ask("/deployments/filter", {}):
            made.ask(f"/deployments/{deployment['id']}/pause_deployment", {})
        made.start_worker()
        yield made
    finally:
        for name in list(made.running)[::-1]:
            made.kill(name)
        for pid in made.processes():  # runs that were killed with nobody left to look after them
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(temporary)


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number; one that has ended and was not waited for yet does not count."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def _is_of_a_run(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
    return any(name in words for name in (b"prefect.engine", b"postgres", b"pg_dump", b"pg_restore"))
