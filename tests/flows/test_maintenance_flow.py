"""The nightly flow: what it does to an environment, what its run says, and that it lets deployments go first."""

from __future__ import annotations

import json

import pytest

from flows.__main__ import main
from tests.support.broken import lay_base
from tests.support.cutting import apply_unrehearsed
from wedsync_db.backup.proven import proven
from wedsync_db.backup.store import list_backups
from wedsync_db.history.store import open_history
from wedsync_db.postgres.locks import announce
from wedsync_db.postgres.session import session

pytestmark = pytest.mark.usefixtures("prefect_server")


def laid(case):
    lay_base(case)
    apply_unrehearsed(case.address, case.installation.environment("case"))
    with session(case.address, "test") as connection:
        connection.execute("create table public.bloated (id int primary key) with (autovacuum_enabled = off)")
        connection.execute("insert into public.bloated select generate_series(1, 1000)")
        connection.execute("delete from public.bloated")


def test_a_night_backs_up_works_tells_and_is_remembered(case, capsys, monkeypatch):
    pages = []
    monkeypatch.setattr("tasks.maintenance.publish", lambda _key, page, _about: pages.append(page))
    laid(case)
    assert main(["maintain", "case", "--budget", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"].startswith("case: done; ")
    (backup,) = list_backups(case.installation.home.backups("case"))
    assert proven(backup).progress == "verified"
    assert case.rows("select pg_stat_get_vacuum_count('public.bloated'::regclass)") == [(1,)]
    assert "| public.bloated | vacuum | done |" in pages[0]
    assert "No earlier night is remembered" in pages[0]
    with case.installation.history() as address, open_history(address) as connection:
        nights = connection.execute("select environment, outcome, backup_id from history.maintenance").fetchall()
        work = connection.execute(
            "select outcome, dead_before, dead_after from history.maintenance_work where table_name = 'public.bloated'"
        ).fetchall()
    assert nights == [("case", "done", backup.id)]
    assert work == [("done", 1000, 0)]


def test_a_deployment_goes_first_and_other_environments_get_their_night(case, monkeypatch):
    from flows.maintenance import maintenance
    from tasks.each import Ended

    laid(case)
    with announce(case.address):
        assert main(["maintain", "case"]) == 3
    assert list_backups(case.installation.home.backups("case")) == ()
    monkeypatch.setattr("flows.maintenance.back_up", _fails)
    monkeypatch.setattr("flows.maintenance.tell", lambda *_: Ended("told"))
    state = maintenance(return_state=True)
    assert state.name == "BackupError"
    assert "case: no room" in state.message
    assert "case_each: no room" in state.message
    assert main(["maintain", "case", "--budget", "0"]) == 2


def _fails(*_):
    from wedsync_db.errors import BackupError

    raise BackupError("no room")
