"""A server that its operator restarts in the middle of a deployment, one that stays away, and a lost scratch server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.broken import switch_on
from tests.support.majors import every_major
from tests.support.proxy import Cut, through
from tests.support.tcp_server import start_on_tcp
from wedsync_db.errors import Inconclusive
from wedsync_db.migrate import roll_back
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.prove import prove_folder
from wedsync_db.model import Plan
from wedsync_db.postgres.cluster import stop
from wedsync_db.postgres.session import session

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

UP, DOWN = b"insert into public.made_2", b"drop table public.made_2"


@every_major
@pytest.mark.parametrize(("mode", "text"), [("fast", UP), ("immediate", DOWN)], ids=["fast, up", "immediate, down"])
def test_a_restart_in_the_middle(copy, mode, text, record_property):
    """It takes less than the half minute for which rolling back waits."""
    cluster = copy.prepared.cluster
    if text == DOWN:
        switch_on(copy)
    with session(copy.admin, "test") as connection:
        # in a copy by template a crash takes sequences back, unless there was a checkpoint: PostgreSQL logs them ahead
        connection.execute("checkpoint")

    def restart() -> None:
        stop(cluster, mode)
        start_on_tcp(cluster)

    with through(copy.tcp, Cut(text=text, only=b"nobody", then=restart)) as (proxy, address):
        error = copy.deploy(address)
        assert proxy.done
    assert error is not None
    copy.recover()
    assert copy.ended() == "before"
    record_property("faults", "restarted server: ended before")


def test_a_server_that_does_not_come_back(copy, prefect_server, monkeypatch, record_property):
    """Nobody knows, so that is what the run says; when the server is there again, one recover ends it."""
    cluster = copy.prepared.cluster
    monkeypatch.setattr(roll_back, "_RECONNECT_SECONDS", 0.5)
    try:
        with through(copy.tcp, Cut(text=UP, only=b"nobody", then=lambda: stop(cluster, "fast"))) as (proxy, address):
            error = copy.flow(address, monkeypatch)
            assert proxy.done
    finally:
        start_on_tcp(cluster)
    assert isinstance(error, Inconclusive)
    assert error.exit_code == 5
    assert "did not come back" in error.message
    assert "recover case" in error.hint
    copy.recover()
    assert copy.ended() == "before"
    record_property("faults", "server away: ended before")


def test_a_scratch_server_that_is_lost_says_nothing_about_the_migration(home, tmp_path):
    """As by a full disk for its log, or too little memory: the backend is killed while it works."""
    folder = tmp_path / "migrations" / "0001_killed"
    folder.mkdir(parents=True)
    (folder / "deploy.sql").write_text("copy (select 1) to program 'kill -9 $PPID; sleep 1';\n")
    (folder / "revert.sql").write_text("select 1;\n")
    migrations, _ = read_migrations(tmp_path / "migrations")
    with pytest.raises(Inconclusive, match="the scratch server was lost") as caught:
        prove_folder(Plan(migrations, ()), 18, home.scratch, clock=lambda: datetime.now(UTC), say=print)
    assert "room" in caught.value.hint
    assert list(home.scratch.iterdir()) == []
