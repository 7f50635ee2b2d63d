"""The flow that tries the restore: how it ends, and what its run says."""

from __future__ import annotations

import json

import pytest

from flows.__main__ import main
from tests.support.broken import lay_base
from tests.support.case import URL_VARIABLE
from tests.support.cutting import apply_unrehearsed
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.proven import proven
from wedsync_db.history.store import open_history

pytestmark = pytest.mark.usefixtures("prefect_server", "environ_taken_back")


@pytest.fixture
def backup(case):
    lay_base(case)
    apply_unrehearsed(case.address, case.installation.environment("case"))
    return create_backup(case.address, case.installation.home.backups("case"), environment="case")


def test_the_verb_tries_the_newest_backup_and_the_target_need_not_be_there(case, backup, monkeypatch, capsys):
    monkeypatch.delenv(URL_VARIABLE)
    assert main(["drill", "case", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["result"]
    assert said.startswith(f"case: backup {backup.id} restored in ")
    assert "rows of 3 tables compared; its data is " in said
    assert proven(backup).progress == "restored"
    with case.installation.history() as address, open_history(address) as connection:
        rows = connection.execute("select backup_id, outcome from history.drill").fetchall()
        states = connection.execute("select id, state from history.backup").fetchall()
    assert rows == [(backup.id, "restored")]
    assert states == [(backup.id, "restored")]


def test_each_environment_gets_its_drill_and_the_worst_names_the_end(case, backup, monkeypatch):
    from flows.restore_drill import restore_drill
    from wedsync_db.errors import Inconclusive

    def judge(_installation, _environment, _backup, **_):
        raise Inconclusive("no room")

    monkeypatch.setattr("tasks.drill.drill_environment", judge)
    state = restore_drill(return_state=True)
    assert state.name == "UsageError"  # case_each has no backup: worse than one that could not be judged
    assert "case: no room" in state.message
    assert "there is no backup of case_each yet" in state.message
    assert restore_drill("case", return_state=True).name == "Inconclusive"
    assert main(["drill", "case"]) == 5
