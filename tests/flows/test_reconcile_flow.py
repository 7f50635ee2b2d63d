"""The flow that looks after what was interrupted where nobody was left to end it."""

from __future__ import annotations

import pytest

from tests.support.broken import lay_base
from tests.support.case import URL_VARIABLE
from wedsync_db.errors import PersonNeeded, Unreachable
from wedsync_db.migrate import journal
from wedsync_db.migrate.deployment import read_plan, runner_name, take_fingerprint
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import session

pytestmark = pytest.mark.usefixtures("prefect_server")


def reconcile(environment=None):
    from flows.reconcile import reconcile as flow

    return flow(environment, return_state=True)


def deployed(case):
    from flows.deploy import deploy

    lay_base(case)
    assert deploy("case", return_state=True).is_completed()


def interrupted(case):
    """A deployment that was begun by a runner which is gone."""
    case.migration("0002_more", "create table public.more (id int);", "drop table public.more;")
    plan = read_plan(case.address, case.installation.environment("case"))
    with session(case.address, "journal") as connection:
        journal.begin(
            connection, plan=plan, atomic="deployment", fingerprint_before=take_fingerprint(case.address).digest,
            backup_id=None, runner=runner_name(), rehearsal=None,
        )  # fmt: skip


def test_nothing_interrupted_is_nothing_to_do(case):
    deployed(case)
    state = reconcile()
    assert state.is_completed()
    assert "case: nothing was interrupted" in state.message


def test_an_interrupted_deployment_is_undone(case):
    deployed(case)
    before = take_fingerprint(case.address).digest
    interrupted(case)
    state = reconcile("case")
    assert state.is_completed()
    assert "was undone" in state.message
    assert case.rows("select status from wedsync_db.deployment order by started_at") == [("done",), ("rolled_back",)]
    assert take_fingerprint(case.address).digest == before


def test_a_deployment_at_work_is_left_alone(case):
    deployed(case)
    interrupted(case)
    with target_lock(case.address, "deploy", wait_seconds=0, say=print):
        state = reconcile("case")
    assert state.is_completed()
    assert "left alone" in state.message
    assert case.rows("select count(*) from wedsync_db.deployment where status = 'running'") == [(1,)]


@pytest.mark.parametrize(
    ("error", "name"), [(PersonNeeded("rows would be lost"), "PersonNeeded"), (Unreachable("gone"), "Unreachable")]
)
def test_what_cannot_be_settled_is_told_and_others_are_looked_after(case, monkeypatch, error, name):
    def recovered(environment, _say):
        if environment == "case":
            raise error
        return ()

    monkeypatch.setattr("tasks.reconcile.recovered", recovered)
    state = reconcile()
    assert state.name == name
    assert error.message in state.message
    assert "case_each: nothing was interrupted" in state.message


def test_environments_without_an_address_here_are_passed_over(case, monkeypatch):
    monkeypatch.delenv(URL_VARIABLE)
    assert reconcile().message == "no environment has an address here"
