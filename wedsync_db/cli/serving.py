"""`up`: the Prefect server, work pools, the deployments of prefect.yaml and a worker, until Ctrl-C.

Prefect is only started here, as programs of its own; this process never imports it.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from wedsync_db.cli import automations, served_runs
from wedsync_db.cli.answer import Answer
from wedsync_db.cli.prefect_api import ask, is_missing
from wedsync_db.cli.terminal import say
from wedsync_db.errors import Refused, WedsyncError
from wedsync_db.filelock import lock_file, try_alone
from wedsync_db.home import Home
from wedsync_db.installation import Installation
from wedsync_db.load.options import LOAD_POOL
from wedsync_db.postgres.cluster import embedded, embedded_exists
from wedsync_db.redact import redact

POOL = "wedsync-db"
_LOOPBACK = "127.0.0.1"
_START_SECONDS = 90
_STOP_SECONDS = 15
_POLL_SECONDS = 0.2


def up(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Start everything, print the address, and stop everything when interrupted, runs that are under way first.

    Raises:
        Refused: the port is in use, or this installation is served already.
        UsageError: the server would not let in what is started here.
        WedsyncError: a part does not start or ends by itself; says which log tells why.
    """
    home, checkout = installation.home.ensure(), installation.checkout
    address = f"http://{_LOOPBACK}:{arguments.port}"
    api = f"{address}/api"
    environ = {**os.environ, "PREFECT_HOME": str(home.prefect), "PREFECT_API_URL": api, **_QUIET}
    environ |= served_runs.let_in(environ)
    with _interruptible(), _the_only_one(home, address) as only, ExitStack() as stack:
        _require_free(arguments.port)
        for major in _majors(installation):
            stack.enter_context(embedded(home, major))  # so that a run does not have to start its server
        say("starting the Prefect server …")
        server = ("server", "start", "--host", _LOOPBACK, "--port", str(arguments.port))
        serving = stack.enter_context(_program(server, environ, home.prefect / "server.log", checkout, only))
        _wait_for(f"{api}/health", serving, home.prefect / "server.log")
        _register(environ, checkout)
        _automate(api, installation)
        served_runs.settle(api, POOL, installation)
        worker = ("worker", "start", "--pool", POOL, "--type", "process", "--name", "local")
        working = stack.enter_context(_program(worker, environ, home.prefect / "worker.log", checkout, only))
        say(f"Prefect UI: {address}\nlogs: {home.prefect}/server.log, worker.log\nCtrl-C stops server and worker.")
        _stay(home, {"server": serving, "worker": working})
        served_runs.cancel(api, POOL)
    return Answer("stopped", {"stopped": True})


def _stay(home: Home, parts: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Stay until we are interrupted.

    Raises:
        WedsyncError: a part ended by itself.
    """
    if ended := _watch(parts):
        raise WedsyncError(
            f"the Prefect {ended} ended by itself", hint=f"Its last words: {home.prefect / f'{ended}.log'}"
        )


@contextmanager
def _the_only_one(home: Home, address: str) -> Iterator[int]:
    """Be the only `up` of this state folder: a second one would take the runs of the first for abandoned.

    Yields the lock, which server and worker inherit: while one of them lives, a killed `up` counts as running.

    Raises:
        Refused: there is another.
    """
    file = home.prefect / "up"
    with lock_file(file) as descriptor:
        if not try_alone(descriptor):
            raise Refused(
                f"this installation is served already: {file.read_text()}",
                hint="Stop that `up` first; if it was killed, end the Prefect server and worker it left.",
            )
        file.write_text(address)
        yield descriptor


def _register(environ: Mapping[str, str], checkout: Path) -> None:
    """Make the work pools, where there are none, and make or renew the deployments."""
    say("registering the work pools and the deployments …")
    for pool in (POOL, LOAD_POOL):
        if not _has_pool(environ, pool):
            _must(("work-pool", "create", pool, "--type", "process"), environ, checkout)
    _must(("--no-prompt", "deploy", "--all"), environ, checkout)


def _has_pool(environ: Mapping[str, str], pool: str) -> bool:
    try:
        ask(f"{environ['PREFECT_API_URL']}/work_pools/{pool}")
    except OSError as error:
        if not is_missing(error):
            raise WedsyncError(
                f"the Prefect server does not say whether there is a work pool {pool}",
                hint=f"Its last words: {Path(environ['PREFECT_HOME']) / 'server.log'}",
            ) from None
        return False
    return True


def _automate(api: str, installation: Installation) -> None:
    """Make or renew the automations: best effort, as a run is served without them, too."""
    try:
        _, missing = automations.register(api, automations.blocks_named(installation))
    except OSError as error:
        say(f"the automations could not be made: {type(error).__name__}")
        return
    for block in missing:
        say(automations.missing_text(block))


_QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "wedsync_db",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            raise Refused(f"port {port} is in use on this machine", hint="`up --port N` takes another port.") from None


def _majors(installation: Installation) -> set[int]:
    majors = {e.embedded_major for e in installation.environments().values() if e.embedded_major}
    return {m for m in majors if embedded_exists(installation.home, m)}


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments]


@contextmanager
def _program(
    arguments: tuple[str, ...], environ: Mapping[str, str], log: Path, checkout: Path, inherited: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A part of Prefect in a session of its own, so that Ctrl-C reaches us alone and we end it in order."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            _command(arguments),
            env=dict(environ),
            cwd=checkout,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(inherited,),
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):  # an impatient second Ctrl-C
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 our own address on loopback
                return
        except OSError:
            time.sleep(_POLL_SECONDS)
    raise WedsyncError("the Prefect server does not answer", hint=f"Its last words: {log}")


def _must(arguments: tuple[str, ...], environ: Mapping[str, str], checkout: Path) -> None:
    done = _run(arguments, environ, checkout)
    if done.returncode:
        log = Path(environ["PREFECT_HOME"]) / "setup.log"
        log.write_text(redact(done.stdout), encoding="utf-8")
        raise WedsyncError(
            f"`prefect {' '.join(arguments)}` failed with exit code {done.returncode}", hint=f"What it said: {log}"
        )


def _run(arguments: tuple[str, ...], environ: Mapping[str, str], checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(arguments),
        env=dict(environ),
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _watch(parts: Mapping[str, subprocess.Popen[bytes]]) -> str | None:
    """Wait until we are interrupted (None) or a part ends by itself (its name)."""
    try:
        while True:
            for name, process in parts.items():
                if process.poll() is not None:
                    return name
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        say("stopping …")
        return None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a service manager's stop and a terminal that is closed end us as Ctrl-C does, unless `nohup` forbade it."""
    signals = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
