"""What the page of a run that failed or was interrupted shows to whoever finds it."""

from __future__ import annotations

import logging

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Cancelling

from tests.support.artifacts import artifacts_of
from tests.support.broken import lay_base
from wedsync_db.errors import Refused

pytestmark = pytest.mark.usefixtures("prefect_server")


def deploy(environment="case"):
    from flows.deploy import deploy as flow

    return flow(environment, return_state=True)


def result_page(flow_run_id, key="result-case") -> str:
    pages = [a.data for a in artifacts_of(flow_run_id) if a.key == key]
    assert len(pages) == 1
    return pages[0]


def interrupted(case):
    """The hook, called as a worker's fresh process does, for a run that is really there."""
    from flows.deploy import deploy as flow
    from tasks.recover import recover_afterwards

    state = deploy()
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)
        for artifact in artifacts_of(run.id):  # what the run itself said of its end
            if artifact.key == "result-case":
                client.delete_artifact(artifact.id)
    return lambda: recover_afterwards(flow=flow, flow_run=run, state=Cancelling()), run.id


def test_failed_rehearsal_says_that_the_target_was_not_touched(case):
    lay_base(case)
    case.migration("0002_lossy", "update public.items set name = 'same';", "update public.items set name = 'other';")
    state = deploy()
    assert state.is_failed()
    page = result_page(state.state_details.flow_run_id)
    assert page.startswith("# Stopped by the rehearsal: the target was not touched\n")
    assert "0002_lossy" in page
    assert "hint:" in page


def test_up_to_date_run_says_so_in_its_state(case):
    lay_base(case)
    assert "1 migration deployed" in deploy().message
    assert deploy().message == "case is up to date: 1 migration applied, none pending"


def test_interrupted_before_anything_was_begun(case):
    lay_base(case)
    hook, run = interrupted(case)
    hook()
    assert result_page(run).startswith("# Interrupted: nothing had been begun\n")


def test_copies_of_the_data_do_not_outlive_an_interrupted_rehearsal(case):
    lay_base(case)
    hook, _ = interrupted(case)
    left = case.installation.home.scratch / "wedsync-scratch-left"
    left.mkdir()
    hook()
    assert not left.exists()


def test_what_could_not_be_looked_at_is_not_called_undone(case, monkeypatch):
    lay_base(case)
    hook, run = interrupted(case)
    monkeypatch.delenv("WEDSYNC_CASE_URL")
    hook()
    page = result_page(run)
    assert page.startswith("# Interrupted: not undone yet\n")
    assert "WEDSYNC_CASE_URL" in page


def test_defect_in_the_hook_shows_no_row_values(case, monkeypatch):
    from tasks import recover

    def broken(*_, **__):
        raise ValueError("secret row")

    lay_base(case)
    hook, run = interrupted(case)
    monkeypatch.setattr(recover, "recovered", broken)
    hook()
    assert "unexpected ValueError" in result_page(run)
    assert "secret row" not in result_page(run)


@pytest.mark.parametrize("name", ["wedsync_db", "prefect.flow_runs", "prefect.task_runs"])
@pytest.mark.parametrize(("error", "shown"), [(Refused("it is Saturday"), False), (ValueError("a defect"), True)])
def test_only_a_defect_is_logged_with_a_traceback(name, error, shown):
    import tasks.running  # noqa: F401 it puts the filters on

    record = logging.makeLogRecord({"msg": "ended", "exc_info": (type(error), error, None)})
    assert logging.getLogger(name).filter(record)
    assert bool(record.exc_text) is shown
    assert not record.exc_info
