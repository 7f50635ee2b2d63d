"""Runner and server killed at random moments of a deployment, while clients write and read."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.before_or_after import Killed, killed
from tests.support.case import Case, database, environ_of, write_settings
from tests.support.killed_plans import PLANS
from tests.support.runners import KILLED, Ended, Runners, runners
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.postgres.cluster import Cluster, scratch, start, stop

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3000)]
every_plan = pytest.mark.parametrize("plan", PLANS)
_DURABLE = {"synchronous_commit": "on", "fsync": "off"}  # survives its own death, if not the machine's
_RESTART_SECONDS = 60
_TOO_LATE = 1.1  # some moments are after the end


@pytest.fixture
def forked(tmp_path) -> Iterator[Runners]:
    with runners(tmp_path) as forked:
        yield forked


@pytest.fixture
def target(case, forked, plan, record_property) -> Iterator[Killed]:
    environment, lay = PLANS[plan]
    with killed(case, environment, forked, lay) as target:
        yield target
        record_property("killed at a random moment", target.figures())


@pytest.fixture
def moments(request) -> Callable[[float], range]:
    """As many moments as this share of all of them, at least one."""
    return lambda share: range(max(1, round(share * request.config.getoption("moments"))))


@every_plan
def test_a_runner_killed_while_it_migrates(target: Killed, moments):
    whole = _seconds(lambda: target.run("carry_out"))
    target.take_back()
    for number in moments(0.15):
        with _failing(target, number % 3 == 0):
            _kill_runner(target, "carry_out", whole)


@pytest.mark.parametrize("plan", ["one by one", "outside of transactions"])
def test_a_runner_killed_anywhere(target: Killed, moments):
    """While it backs up and rehearses, too."""
    whole = _seconds(lambda: target.run("deploy"))
    target.take_back()
    for _ in moments(0.12):
        _kill_runner(target, "deploy", whole)


@pytest.mark.parametrize("plan", ["one by one"])
def test_the_command_killed_anywhere(target: Killed, moments, prefect_server):
    """The flow under Prefect, as the command line runs it."""
    from prefect.settings import PREFECT_API_URL

    environ = {**target.case.installation.environ, "PREFECT_API_URL": PREFECT_API_URL.value()}

    def begin() -> subprocess.Popen:
        command = [sys.executable, "-m", "flows", "deploy", target.environment]
        return subprocess.Popen(command, cwd=CHECKOUT, env=environ, stderr=subprocess.DEVNULL)

    whole = _seconds(lambda: begin().wait())
    target.take_back()
    for _ in moments(0.06):
        seconds = random.uniform(0, _TOO_LATE * whole)
        with begin() as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            process.kill()
        target.judge(Ended(process.returncode), f"the command killed after {seconds:.3f} of {whole:.1f} s")


@every_plan
def test_a_server_killed_while_it_migrates(major, home, forked, tmp_path, monkeypatch, plan, moments, record_property):
    environment, lay = PLANS[plan]
    with (
        _durable(major, home, tmp_path, monkeypatch) as (cluster, case),
        killed(case, environment, forked, lay) as target,
    ):
        whole = _seconds(lambda: target.run("carry_out"))
        target.take_back()
        for number in moments(0.08):
            with _failing(target, number % 3 == 0):
                _kill_server(target, cluster, random.uniform(0, _TOO_LATE * whole))
        record_property("server killed at a random moment", target.figures())


def _seconds(act: Callable[[], object]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started


@contextmanager
def _failing(target: Killed, failing: bool) -> Iterator[None]:
    """Let the last migration fail in this block, so that it rolls back."""
    if failing:
        target.case.rows("insert into public.switch values (now()) returning on_at")
    yield
    target.case.rows("delete from public.switch returning on_at")


def _kill_runner(target: Killed, job: str, whole: float) -> None:
    seconds = random.uniform(0, _TOO_LATE * whole)
    pid = target.runners.start(job, target.environment)
    time.sleep(seconds)
    target.judge(target.runners.kill(pid), f"{job} killed after {seconds:.3f} of {whole:.3f} s")


# -- servers -----------------------------------------------------------------------------------------------------------
@contextmanager
def _durable(major: int, home, folder: Path, monkeypatch) -> Iterator[tuple[Cluster, Case]]:
    """A server of the test's own, to be killed, with a case on it."""
    (folder / "migrations").mkdir()
    write_settings(folder)
    with scratch(major, settings=_DURABLE) as cluster, database(cluster, "killed") as address:
        for name, value in environ_of(folder, home.path, address).items():
            monkeypatch.setenv(name, value)
        yield cluster, Case(folder, address, cluster.address("killed"), Installation(CHECKOUT, dict(os.environ)))


def _kill_server(target: Killed, cluster: Cluster, seconds: float) -> None:
    """Kill it in one of three ways, the runner with it or not, and start it again, as the operating system does."""
    way = random.choice([_kill_postmaster, _kill_all, lambda cluster: stop(cluster, "immediate")])
    runner_too = random.random() < 0.5
    pid = target.runners.start("carry_out", target.environment)
    time.sleep(seconds)
    way(cluster)
    if runner_too:
        os.kill(pid, signal.SIGKILL)
    _restart(cluster)
    ended = target.runners.wait(pid)
    target.counts["servers killed"] += 1
    target.judge(ended, f"server killed after {seconds:.3f} s, the runner ended with {ended.code}")
    assert ended.code != KILLED or runner_too


def _restart(cluster: Cluster) -> None:
    """Start it again, as often as that takes: processes of the dead one may still be there."""
    deadline = time.monotonic() + _RESTART_SECONDS
    while True:
        try:
            return start(cluster, _DURABLE)
        except WedsyncError:
            if time.monotonic() > deadline:
                raise


def _kill_postmaster(cluster: Cluster) -> None:
    """The rest sees for itself that it is gone, and ends, sooner or later."""
    os.kill(_postmaster(cluster), signal.SIGKILL)


def _kill_all(cluster: Cluster) -> None:
    """As a power cut does, as far as the server can tell."""
    postmaster = _postmaster(cluster)
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _postmaster(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().splitlines()[0])
