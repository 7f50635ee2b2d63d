"""Deployments in the history store: begun, ended, recovered; and a store that is lost stops nothing."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flows.__main__ import main
from tests.support import values
from tests.support.broken import lay_base, once_backed_up, planted, switch_on
from tests.support.case import write_settings
from wedsync_db.history.deployments import Deployed, Deployments, between
from wedsync_db.history.store import open_history
from wedsync_db.migrate.recover import Recovery
from wedsync_db.model import DeploymentStatus, Fingerprint, Opened

pytestmark = pytest.mark.usefixtures("prefect_server")
AT = datetime(2026, 6, 7, 14, 30, tzinfo=UTC)
LATER = AT + timedelta(minutes=2)


@pytest.fixture
def store(case, address, monkeypatch):
    """A history store on the test's own server: an embedded one takes seconds to start."""
    monkeypatch.setenv("WEDSYNC_HISTORY_URL", f"postgresql://{address.user}@/{address.dbname}?host={address.host}")
    file = write_settings(case.folder)
    file.write_text(file.read_text() + '\n[history]\nurl_env = "WEDSYNC_HISTORY_URL"\n')
    return address


@pytest.fixture
def warned(monkeypatch) -> list[str]:
    """What was said; Prefect takes the handlers of a test away when it begins its first run."""
    from tasks import record

    said: list[str] = []
    monkeypatch.setattr(record.logger, "warning", lambda text, *values: said.append(text % values))
    return said


def deploy():
    from flows.deploy import deploy as flow

    return flow("case", return_state=True)


def noted(store) -> tuple[Deployed, ...]:
    with open_history(store) as connection:
        return between(connection, "case", AT - timedelta(days=9999), datetime.now(UTC) + timedelta(days=1))


def test_a_deployment_is_noted_with_its_end_and_so_are_one_that_failed_and_a_revert(case, store, capsys):
    lay_base(case)
    assert deploy().is_completed()
    planted(case, 2)
    with once_backed_up(case, switch_on):
        state = deploy()
    assert state.name == "RolledBack", state.message
    good, bad = noted(store)
    ((journal_id, _), _) = case.rows("select id, status from wedsync_db.deployment order by started_at")
    assert (good.id, good.outcome, good.migrations) == (journal_id, "done", ("0001_base",))
    assert good.started_at <= good.finished_at
    assert good.report_path.endswith(f"{journal_id}.html")
    assert (bad.outcome, bad.migrations) == ("rolled_back", ("0002_planted",))
    assert main(["revert", "case", "--to", "0", "--accept-loss", "case", "--reason", "a test"]) == 0
    assert "1 migration reverted" in capsys.readouterr().out
    *_, reverted = noted(store)
    assert (reverted.outcome, reverted.migrations) == ("reverted", ("0001_base",))


def test_a_store_that_is_lost_or_hangs_stops_nothing(case, store, monkeypatch, warned):
    from tasks import record

    outcome = replace(values.deployed(), environment="case")
    monkeypatch.setenv("WEDSYNC_HISTORY_URL", "postgresql://nobody@127.0.0.1:1/none")
    record.ended("case", outcome, None)
    record.wait_for_notes()
    assert warned[0].startswith("case: the history store does not know of this deployment: no session with")
    monkeypatch.setattr(record, "_PATIENCE_SECONDS", 0.1)
    ends = threading.Event()

    @contextmanager
    def hanging(*_):
        ends.wait(60)
        yield Deployments("case")

    monkeypatch.setattr(record, "deployments", hanging)
    record.begun("case", Opened(outcome.deployment, Fingerprint({})), outcome.proof.plan)
    record.wait_for_notes()
    assert "the history store does not answer; it may not know of this deployment" in warned
    ends.set()
    for thread in threading.enumerate():
        if thread.name == "note":
            thread.join(60)


def test_what_recover_settled_and_what_it_could_not(case, store):
    from tasks import record

    for name in ("a", "b", "c"):
        Deployments("case", store).begin(name, AT, ())
    record.settled(
        "case", (Recovery("a", DeploymentStatus.DONE, "", AT), Recovery("b", DeploymentStatus.ROLLED_BACK, ""))
    )
    record.stuck("case", replace(values.deployment(), id="d", started_at=AT))
    record.wait_for_notes()
    record.unsettled("case")
    record.wait_for_notes()
    assert {one.id: one.outcome for one in noted(store)} == {
        "a": "done", "b": "rolled_back", "c": "person_needed", "d": "failed"
    }  # fmt: skip


def test_where_nothing_was_ever_kept_nothing_is_made(case, warned):
    from tasks import record

    record.ended("case", replace(values.deployed(), environment="case"), None)
    record.wait_for_notes()
    assert warned == []
    assert list(case.installation.home.pg.glob("18")) == []


def test_whatever_order_they_come_in_the_end_stays(store):
    kept = Deployments("case", store)
    kept.end("a", "done", started_at=AT, finished_at=LATER, migrations=("0001_a",), run_url="http://x")
    kept.begin("a", AT, ("0001_a",))
    kept.begin("b", AT, ("0002_b",), "http://y")
    kept.begin("c", LATER, ("0003_c",))
    kept.end("b", "rolled_back", started_at=LATER, finished_at=LATER)
    kept.needs_person(LATER)
    assert kept.problems == []
    assert noted(store) == (
        Deployed("a", AT, LATER, "done", ("0001_a",), "http://x"),
        Deployed("b", AT, LATER, "rolled_back", ("0002_b",), "http://y"),
        Deployed("c", LATER, LATER, "person_needed", ("0003_c",)),
    )
