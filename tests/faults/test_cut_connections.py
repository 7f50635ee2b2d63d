"""Connections that are cut between runner and server: every deployment ends exactly before or exactly after."""

from __future__ import annotations

import os
import random
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg
import pytest

from tests.support.broken import switch_on
from tests.support.cutting import Copy
from tests.support.majors import every_major
from tests.support.proxy import Cut, through
from wedsync_db.backup import client
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.store import list_backups
from wedsync_db.errors import Unreachable, WedsyncError
from wedsync_db.migrate.prove import prove
from wedsync_db.postgres import session as sessions
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import session
from wedsync_db.report.errors import unexpected

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

COMMIT = query("apply", "commit").encode()
MIGRATE, LOCK = b"wedsync-db/migrate", b"wedsync-db/deploy"


@pytest.fixture
def impatient(monkeypatch):
    """A second or two of silence are enough to give up, on both sides."""
    monkeypatch.setattr(sessions, "SILENCE", {"keepalives_idle": 1, "keepalives_interval": 1})
    monkeypatch.setattr(sessions, "SERVER_SILENCE", {"tcp_keepalives_idle": "1", "tcp_keepalives_interval": "1"})
    monkeypatch.setattr(sessions, "UNACKNOWLEDGED_MS", 1000)
    monkeypatch.setattr(sessions, "SERVER_UNACKNOWLEDGED_MS", 1000)


@dataclass(frozen=True)
class Phase:
    """A cut, how the deployment ends, and whether its last migration would fail anyway."""

    cut: Cut
    ends: str
    fails: bool = False


PHASES = {
    "in a transaction": Phase(Cut(text=b"insert into public.made_2"), "before"),
    "in a transaction, one session": Phase(Cut(text=b"insert into public.made_2", only=MIGRATE), "before"),
    "in COMMIT, which does not arrive": Phase(Cut(text=COMMIT, lost="request", only=MIGRATE), "before"),
    "in COMMIT, whose answer is lost": Phase(Cut(text=COMMIT, lost="answer", only=MIGRATE), "after"),
    "in COMMIT, all sessions": Phase(Cut(text=COMMIT, lost="answer"), "before"),
    "while an index is built": Phase(Cut(text=b"create index concurrently"), "before"),
    "after an index was built": Phase(Cut(text=b"create index concurrently", lost="answer"), "before"),
    "in the last statement": Phase(Cut(text=b"create table public.planted_4"), "before"),
    "in a revert": Phase(Cut(text=b"drop table public.made_2"), "before", fails=True),
    "while an index is dropped": Phase(Cut(text=b"drop index public.items_apart"), "before", fails=True),
    "only the lock's session": Phase(Cut(text=b"insert into public.made_2", only=LOCK), "before"),
    "away for a while": Phase(Cut(text=b"insert into public.made_2", back_after=1.0), "before"),
    "when it is opened": Phase(Cut(text=b"insert into wedsync_db.deployment"), "before"),
}


def run(copy: Copy, phase: Phase, cut: Cut) -> tuple[WedsyncError | None, str]:
    """Deploy through a proxy that cuts once, recover directly; the error, and how it ended. It must have been cut."""
    if phase.fails:
        switch_on(copy)
    with through(copy.tcp, cut) as (proxy, address):
        error = copy.deploy(address)
        assert proxy.done, "nothing was cut"
        copy.recover()
        return error, copy.ended()


@every_major
@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
def test_a_connection_that_is_reset(copy, phase, record_property):
    error, ended = run(copy, phase, phase.cut)
    assert ended == phase.ends, (error, copy.said)
    assert (error is None) == (ended == "after"), error
    record_property("faults", f"cut connection: ended {ended}")


SILENT = ("in a transaction", "in COMMIT, whose answer is lost", "while an index is built")


@pytest.mark.parametrize("name", SILENT)
def test_a_connection_that_falls_silent(copy, impatient, name, record_property):
    """Nobody is told: both sides have to find out, and neither waits for ever."""
    phase = PHASES[name]
    error, ended = run(copy, phase, replace(phase.cut, how="drop"))
    assert ended == phase.ends, (error, copy.said)
    assert (error is None) == (ended == "after"), error
    record_property("faults", f"silent connection: ended {ended}")


def test_a_network_that_is_silent_for_a_while(copy, impatient, record_property):
    """Nobody answers a new connection either, until it is back: the lock of the old one is gone by then."""
    cut = Cut("drop", text=b"insert into public.made_2", back_after=2.5)
    with through(copy.tcp, cut) as (proxy, address):
        error = copy.deploy(address)
        copy.recover(address)
        assert proxy.done
        assert error is not None
        assert copy.ended() == "before"
    record_property("faults", "silent network: ended before")


@every_major
def test_the_server_frees_what_a_silent_runner_held(copy):
    """With the program's own patience: within the ten seconds for which `recover` waits for the lock."""
    with through(copy.tcp) as (proxy, address), target_lock(address, "deploy", wait_seconds=0, say=print):
        proxy.break_off("drop")
        with target_lock(copy.direct, "recover", wait_seconds=10, say=print):
            pass
        proxy.end_silence()


def test_the_runner_gives_up_a_silent_server(copy):
    """What its kernel was told; with those a session ends as the ones above do."""
    with session(copy.tcp, "test") as connection, socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.setblocking(False)
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        assert [ours.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [3, 1, 5, 30_000]
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        told = "show tcp_user_timeout", "show tcp_keepalives_idle", "show tcp_keepalives_interval"
        assert [connection.execute(one).fetchone()[0] for one in told] == ["8000", "3", "1"]


def test_the_url_may_ask_for_more_patience(copy):
    slow = replace(copy.tcp, parameters={"keepalives_idle": "60", "tcp_user_timeout": "120000"})
    with session(slow, "test") as connection, socket.socket(fileno=os.dup(connection.fileno())) as ours:
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 120_000


def test_connections_cut_at_random_moments(prepared_on, impatient, pytestconfig, record_property):
    """At any byte of all that passes; every fourth time without a word."""
    rng = random.Random(20261122)
    prepared = prepared_on(18)
    for number in range(max(8, pytestconfig.getoption("moments") // 3)):
        how = "drop" if number % 4 == 3 else "reset"
        cut = Cut(how, at=rng.randrange(prepared.passed), back_after=rng.choice((0.0, 0.0, 0.5)))
        with prepared.copy() as copy, through(copy.tcp, cut) as (_, address):
            fails = rng.random() < 0.4
            if fails:
                switch_on(copy)
            error = copy.deploy(address)
            copy.recover()
            ended = copy.ended()
            assert error is not None or ended == "after", (cut, copy.said)
            assert not fails or ended == "before", (cut, copy.said)
        record_property("faults", f"connection cut at random: ended {ended}")


@pytest.mark.timeout(600)
def test_a_slow_and_unsteady_network(copy, pytestconfig, record_property):
    delay = 0.3 if pytestconfig.getoption("moments") >= 200 else 0.015  # seconds, each way
    with through(copy.tcp, delay=delay, jitter=delay) as (_, address):
        assert copy.deploy(address) is None
        assert copy.ended() == "after"
    record_property("faults", "slow network: ended after")


# -- before the target is touched --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("how", "text"),
    [("reset", b"pg_export_snapshot"), ("reset", b"COPY public.items"), ("drop", b"COPY public.items")],
)
def test_cut_during_the_backup(copy, impatient, tmp_path, monkeypatch, how, text, record_property):
    monkeypatch.setattr(client, "_UNACKNOWLEDGED_MS", 1000)
    earlier = create_backup(copy.direct, tmp_path / "backups", environment="case")
    with through(copy.tcp, Cut(how, text=text)) as (proxy, address):
        with pytest.raises(WedsyncError) as caught:
            create_backup(address, tmp_path / "backups", environment="case")
        assert proxy.done
        assert caught.value.exit_code == 1
        assert caught.value.hint
        assert copy.ended() == "before"
    assert list_backups(tmp_path / "backups") == (earlier,)
    assert [p.name for p in (tmp_path / "backups").iterdir() if "partial" in p.name] == []
    record_property("faults", "cut connection: ended before")


def test_cut_while_the_rehearsal_reads_the_target(copy, tmp_path, record_property):
    prepared, home = copy.prepared, copy.prepared.folder / "home"
    backup = create_backup(copy.direct, tmp_path / "backups", environment="case")
    with through(copy.tcp, Cut(text=b"default_toast_compression")) as (proxy, address):
        with pytest.raises(psycopg.OperationalError) as caught:
            prove(
                address, prepared.environment, prepared.plan, backup, scratch_parent=home / "scratch",
                clock=lambda: datetime.now(UTC), say=print, progress=print,
            )  # fmt: skip
        assert proxy.done
    assert isinstance(unexpected(caught.value), Unreachable)
    assert copy.ended() == "before"
    assert list((home / "scratch").iterdir()) == []
    record_property("faults", "cut connection: ended before")


# -- the whole flow ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("cut", "code", "ends"),
    [
        (Cut(text=b"create table public.planted_4"), 1, "before"),
        (Cut(text=COMMIT, lost="answer", only=MIGRATE), 0, "after"),
    ],
    ids=["after a commit", "COMMIT unanswered"],
)
def test_the_flow_over_a_connection_that_is_cut(
    copy, prefect_server, impatient, monkeypatch, cut, code, ends, record_property
):
    with through(copy.tcp, cut) as (proxy, address):
        error = copy.flow(address, monkeypatch)
        assert proxy.done
        assert (error.exit_code if error else 0) == code, error
        copy.recover()
        assert copy.ended() == ends
    record_property("faults", f"flow over a cut connection: ended {ends}")
