"""Runners and servers killed while they deploy and while they undo: before or after, and no acknowledged write lost."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.deployed import QUICK, Deployed
from tests.support.majors import every_major
from tests.support.writer import writing
from wedsync_db.migrate.recover import recover
from wedsync_db.migrate.roll_back import roll_back
from wedsync_db.model import DeploymentStatus
from wedsync_db.postgres.cluster import scratch, start, stop
from wedsync_db.postgres.session import Address, session

pytestmark = pytest.mark.faults
DURABLE = {"synchronous_commit": "on"}  # a scratch server acknowledges early, and a kill would lose what it had said
CHECKOUT = Path(__file__).resolve().parents[2]


def laid_out(address: Address, folder: Path) -> Deployed:
    with session(address, "test") as connection:
        connection.execute("create table public.writes (id int primary key, value text)")
    target = Deployed(address, folder / "migrations")
    for n in (1, 2, 3):
        target.add(
            f"000{n}_t{n}",
            f"create table public.t{n} (id int primary key); alter table public.writes add column c{n} int;",
            f"alter table public.writes drop column c{n}; drop table public.t{n};",
        )
    target.deploy(only=0)
    return target


@pytest.fixture
def target(address, tmp_path) -> Deployed:
    return laid_out(address, tmp_path)


@contextmanager
def runner(target: Deployed, what: str):
    """A process that has got to its critical place; killed at the end of the block, at the latest."""
    a = target.address
    command = [sys.executable, "-m", "tests.support.interrupted", what, a.host, str(a.port), a.dbname, a.user]
    with subprocess.Popen([*command, str(target.folder)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "HERE\n"
            yield process
        finally:
            process.kill()


def again(target: Deployed):
    return recover(target.address, target.migrations, locks=QUICK, say=print, clock=lambda: datetime.now(UTC))


def lost(target: Deployed, acknowledged) -> list[int]:
    with session(target.address, "test") as connection:
        return acknowledged.lost(connection)


def as_before(target: Deployed) -> None:
    assert target.applied() == []
    assert target.before.change_to(target.catalog()).objects == {}


@every_major
def test_a_runner_killed_between_two_commits(target):
    with writing(target.address) as acknowledged:
        with runner(target, "deploy"):
            assert target.applied() == ["0001_t1", "0002_t2"]
        (done,) = again(target)
    assert done.ended is DeploymentStatus.ROLLED_BACK
    assert lost(target, acknowledged) == []
    as_before(target)


@every_major
def test_a_recovery_killed_between_two_reverts(target):
    with writing(target.address) as acknowledged:
        with runner(target, "deploy"):
            pass
        with runner(target, "recover"):
            assert target.applied() == ["0001_t1"]
        (done,) = again(target)
    assert "reverted 0002_t2, 0001_t1" in done.message
    assert lost(target, acknowledged) == []
    as_before(target)


@every_major
def test_a_server_killed_while_it_reverts(major, tmp_path):
    with scratch(major, settings=DURABLE) as cluster:
        target = laid_out(cluster.address(), tmp_path)
        target.apply(target.migrations[:2])
        with writing(target.address) as acknowledged:
            with runner(target, "recover"):
                stop(cluster, "immediate")
            start(cluster)
            (done,) = again(target)
        assert done.ended is DeploymentStatus.ROLLED_BACK
        assert lost(target, acknowledged) == []
        as_before(target)


@every_major
def test_a_roll_back_waits_for_a_server_that_restarts(major, tmp_path):
    with scratch(major, settings=DURABLE) as cluster:
        target = laid_out(cluster.address(), tmp_path)
        target.apply(target.migrations[:2])
        killed = []

        def kill_once(line: str) -> None:
            if line.startswith("reverted 0002") and not killed:
                killed.append(line)
                stop(cluster, "immediate")
            elif "not there" in line:
                start(cluster)

        proofs = tuple(target.proofs.values())
        done = roll_back(target.address, target.deployment, target.migrations, proofs, locks=QUICK, say=kill_once)
        assert killed
        assert done.reverted == ("0002_t2", "0001_t1")
        as_before(target)
