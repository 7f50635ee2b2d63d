"""`up`: Prefect's server, pool, deployments and worker, and their end."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from wedsync_db.cli import serving
from wedsync_db.errors import Refused, WedsyncError


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def arguments(port: int) -> argparse.Namespace:
    return argparse.Namespace(port=port)


def stop_once_the_worker_works(log: Path) -> None:
    deadline = time.monotonic() + 60
    while "started" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.faults
@pytest.mark.timeout(300)  # a server, five programs of Prefect's, each of which imports all of it
def test_up_serves_the_deployments_until_it_is_told_to_stop(case, port, monkeypatch):
    said, seen = [], []

    def say(line):
        said.append(line)
        if line.startswith("Prefect UI"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5) as reply:
                seen.append(reply.status)
            threading.Thread(target=stop_once_the_worker_works, args=(log,)).start()

    log = case.installation.home.prefect / "worker.log"
    monkeypatch.setattr(serving, "say", say)
    before = signal.getsignal(signal.SIGTERM)
    answer = serving.up(arguments(port), case.installation)
    assert answer.data == {"stopped": True}
    assert seen == [200]
    assert said[-1] == "stopping …"
    assert signal.getsignal(signal.SIGTERM) is before
    serving._require_free(port)  # nothing listens there any more
    assert "Worker 'local' started" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_port_in_use_is_refused_before_anything_starts(case, port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(Refused, match=f"port {port} is in use"):
            serving.up(arguments(port), case.installation)


def test_second_up_of_an_installation_is_refused_whatever_its_port(case, port):
    with serving._the_only_one(case.installation.home, "http://127.0.0.1:4200"):
        with pytest.raises(Refused, match=r"served already: http://127\.0\.0\.1:4200"):
            serving.up(arguments(port), case.installation)
    with serving._the_only_one(case.installation.home, "next"):
        pass


def test_parts_of_a_killed_up_keep_the_next_one_out(case):
    home = case.installation.home
    with serving._the_only_one(home, "first") as lock:
        part = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=(lock,))
    try:
        with pytest.raises(Refused, match="served already: first"), serving._the_only_one(home, "second"):
            pass
    finally:
        part.kill()
        part.wait()
    with serving._the_only_one(home, "third"):
        pass


def program(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code])


def test_part_that_ends_by_itself_is_named():
    with program("pass") as short, program("import time; time.sleep(60)") as other:
        try:
            assert serving._watch({"server": other, "worker": short}) == "worker"
        finally:
            other.kill()


def test_server_that_ends_at_once_is_told_with_its_log(tmp_path, port):
    with program("pass") as process:
        process.wait()
        with pytest.raises(WedsyncError, match="does not answer") as caught:
            serving._wait_for(f"http://127.0.0.1:{port}/", process, tmp_path / "server.log")
    assert "server.log" in caught.value.hint


def test_up_ends_with_an_error_when_a_part_does(case, port, monkeypatch):
    monkeypatch.setattr(serving, "_command", lambda _arguments: [sys.executable, "-c", "pass"])
    with pytest.raises(WedsyncError, match="does not answer"):
        serving.up(arguments(port), case.installation)
    monkeypatch.setattr(serving, "_wait_for", lambda *_: None)
    with pytest.raises(WedsyncError, match="whether there is a work pool wedsync-db") as caught:
        serving.up(arguments(port), case.installation)
    assert "server.log" in caught.value.hint
    monkeypatch.setattr(serving, "_has_pool", lambda *_: True)
    with pytest.raises(WedsyncError, match="ended by itself") as caught:
        serving.up(arguments(port), case.installation)
    assert ".log" in caught.value.hint


def test_failing_command_is_told_with_what_it_said(monkeypatch, tmp_path):
    code = "print('first'); print('last'); raise SystemExit(3)"
    monkeypatch.setattr(serving, "_command", lambda _arguments: [sys.executable, "-c", code])
    with pytest.raises(WedsyncError, match="`prefect deploy` failed with exit code 3") as caught:
        serving._must(("deploy",), {**os.environ, "PREFECT_HOME": str(tmp_path)}, tmp_path)
    assert str(tmp_path / "setup.log") in caught.value.hint
    assert (tmp_path / "setup.log").read_text() == "first\nlast\n"


def test_part_that_does_not_stop_is_killed(monkeypatch, tmp_path):
    monkeypatch.setattr(serving, "_STOP_SECONDS", 0.2)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    monkeypatch.setattr(serving, "_command", lambda _arguments: [sys.executable, "-c", stubborn])
    log = tmp_path / "x.log"
    with (
        (tmp_path / "kept").open("w") as kept,
        serving._program(("x",), os.environ, log, tmp_path, kept.fileno()) as process,
    ):
        while "up" not in log.read_text():
            assert process.poll() is None
    assert process.returncode == -signal.SIGKILL


def test_impatience_kills_the_part_that_takes_its_time(monkeypatch, tmp_path):
    def impatient(self, timeout=None):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "_command", lambda _arguments: [sys.executable, "-c", "import time; time.sleep(60)"])
    with (tmp_path / "kept").open("w") as kept:
        with serving._program(("x",), os.environ, tmp_path / "x.log", tmp_path, kept.fileno()) as process:
            monkeypatch.setattr(subprocess.Popen, "wait", impatient)
    assert process.returncode is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_stop_of_a_service_and_a_closed_terminal_count_as_interrupts(number):
    with pytest.raises(KeyboardInterrupt), serving._interruptible():
        os.kill(os.getpid(), number)
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with serving._interruptible():
            assert signal.getsignal(number) is signal.SIG_IGN, "nohup's wish"
    finally:
        signal.signal(number, before)


def test_embedded_servers_that_exist_are_started_before_their_runs(case):
    assert serving._majors(case.installation) == set()
