"""The deployment flow as Prefect runs it, on a real target of an ordinary role."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest
from prefect.client.orchestration import get_client

from tests.support.artifacts import artifacts_of
from tests.support.broken import lay_base, once_backed_up, planted, switch_on
from tests.support.case import write_settings
from wedsync_db.errors import (
    Inconclusive,
    MigrationFailed,
    PersonNeeded,
    PlanError,
    Refused,
    RehearsalFailed,
    TargetHeld,
)
from wedsync_db.migrate.deployment import read_plan, take_fingerprint
from wedsync_db.postgres.locks import announce
from wedsync_db.postgres.session import session
from wedsync_db.settings import LockSettings

pytestmark = pytest.mark.usefixtures("prefect_server")


def deploy(environment="case", **parameters):
    from flows.deploy import deploy as flow

    return flow(environment, **parameters, return_state=True)


def error_of(state):
    return state.result(raise_on_failure=False)


def applied(case) -> list[str]:
    return [e.id for e in read_plan(case.address, case.installation.environment("case")).applied]


def test_no_task_asks_prefects_api_for_its_turn(case, monkeypatch):
    """With the API away it would wait for that, between two steps that touch the target. Tags make it ask."""
    from prefect import tags
    from prefect.concurrency import _sync

    asked = []
    monkeypatch.setattr(_sync, "acquire_concurrency_slots_with_lease", lambda names, *_, **__: asked.append(names))
    lay_base(case)
    with tags("wedsync-db"):
        assert deploy().is_completed()
    assert asked == []


def test_a_good_deployment_is_recorded_everywhere(case):
    lay_base(case)
    state = deploy()
    assert state.is_completed(), state.message
    assert applied(case) == ["0001_base"]
    assert case.rows("select status from wedsync_db.deployment") == [("done",)]
    (report,) = case.installation.home.reports.glob("case/*.html")
    assert "0001_base" in report.read_text()
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)
    shown = {one.key: one.data for one in artifacts_of(run.id)}
    assert run.name == "deploy-case"
    assert {"plan-case", "rehearsal-case", "result-case"} <= set(shown)
    assert "0001_base" in shown["rehearsal-case"]
    assert "not-a-secret" not in str(shown) + str(run.parameters)


def test_with_nothing_pending_nothing_is_touched(case):
    lay_base(case)
    deploy()
    before = case.rows("select count(*) from wedsync_db.deployment")
    assert deploy().is_completed()
    assert case.rows("select count(*) from wedsync_db.deployment") == before
    assert len(list(case.installation.home.backups("case").glob("2*"))) == 1


def test_an_inexact_revert_is_stopped_in_rehearsal(case):
    lay_base(case)
    deploy()
    case.migration("0002_lossy", "update public.items set name = 'same';", "update public.items set name = 'other';")
    before = take_fingerprint(case.address).digest
    state = deploy()
    assert state.name == "RehearsalFailed"  # all that a caller on another machine sees of it
    assert isinstance(error_of(state), RehearsalFailed)
    assert "0002_lossy" in error_of(state).message
    assert take_fingerprint(case.address).digest == before
    assert case.rows("select count(distinct name) from public.items") == [(500,)]


@pytest.mark.parametrize("environment", ["case", "case_each"])
def test_a_failure_on_the_target_is_rolled_back(case, environment):
    lay_base(case)
    deploy(environment)
    before = take_fingerprint(case.address).digest
    case.migration("0002_fine", "create table public.fine (id int);", "drop table public.fine;")
    case.migration(
        "0003_planted",
        "do $$ begin if exists (select from public.switch) then raise 'planted'; end if; end $$;",
        "select 1;",
    )
    with once_backed_up(case, switch_on):
        state = deploy(environment)
    assert state.name == "RolledBack"
    assert isinstance(error_of(state), MigrationFailed)
    assert "0003_planted/deploy.sql:1" in error_of(state).message
    assert "exactly as before" in state.message
    assert take_fingerprint(case.address).digest == before
    assert applied(case) == ["0001_base"]


def test_what_is_verified_stays_when_the_journal_cannot_be_told(case, monkeypatch):
    from wedsync_db.migrate import deployment, recover

    def lost(*_):
        raise Inconclusive("the journal could not be told")

    lay_base(case)
    monkeypatch.setattr(deployment, "close_deployment", lost)
    assert isinstance(error_of(deploy()), Inconclusive)
    assert applied(case) == ["0001_base"]
    (done,) = recover.recover(case.address, (), locks=LockSettings(), say=print, clock=lambda: datetime.now(UTC))
    assert done.ended == "done"


def test_files_that_go_away_meanwhile_are_not_needed_to_roll_back(case, monkeypatch):
    from tasks import migrate

    lay_base(case)
    deploy()
    case.migration("0002_fine", "create table public.fine (id int);", "drop table public.fine;")
    planted(case, 3)
    monkeypatch.setattr(migrate, "_ask_again", lambda *_: shutil.rmtree(case.folder / "migrations", ignore_errors=True))
    with once_backed_up(case, switch_on):
        state = deploy("case_each")
    assert state.name == "RolledBack", state.message
    assert case.rows("select id from wedsync_db.ledger") == [("0001_base",)]


def test_rolling_back_that_does_not_end_is_not_called_as_before(case, monkeypatch):
    from wedsync_db.migrate import roll_back

    def stuck(*_, **__):
        raise TargetHeld("its backend does not end")

    lay_base(case)
    deploy()
    case.migration("0002_fine", "create table public.fine (id int);", "drop table public.fine;")
    planted(case, 3)
    monkeypatch.setattr(roll_back, "roll_back", stuck)
    with once_backed_up(case, switch_on):
        state = deploy("case_each")
    assert (state.name, error_of(state).exit_code) == ("RollbackFailed", 5)
    assert "planted" in error_of(state).message
    assert "recover case_each" in error_of(state).hint
    assert applied(case) == ["0001_base", "0002_fine"]


END_OUR_LOCK = (
    "perform pg_terminate_backend(pid) from pg_stat_activity "
    "where datname = current_database() and application_name = 'wedsync-db/deploy'; perform pg_sleep(0.2);"
)


@pytest.mark.parametrize("taken", [False, True])
def test_a_runner_without_its_lock_undoes_unless_somebody_took_over(case, monkeypatch, taken):
    from wedsync_db.migrate import recover

    def held(*_, **__):
        raise TargetHeld("the target is held")

    lay_base(case)
    deploy()
    case.migration("0002_fine", "create table public.fine (id int);", "drop table public.fine;")
    planted(case, 3, END_OUR_LOCK)

    def afterwards(case):
        switch_on(case)
        if taken:
            monkeypatch.setattr(recover, "recover", held)

    with once_backed_up(case, afterwards):
        state = deploy("case_each")
    assert "our lock on the target is gone" in error_of(state).message
    assert error_of(state).exit_code == (5 if taken else 1)
    assert applied(case) == (["0001_base", "0002_fine"] if taken else ["0001_base"])


def test_what_cannot_be_undone_waits_for_a_person(case):
    write_settings(case.folder, "require_exact_revert = false")
    lay_base(case)
    deploy()
    case.migration("0002_no_way_back", "create table public.stays (id int);", revert=None)
    case.migration(
        "0003_planted",
        "do $$ begin if exists (select from public.switch) then raise 'planted'; end if; end $$;",
        "select 1;",
    )
    with once_backed_up(case, switch_on):
        state = deploy("case_each")
    assert state.name == "PersonNeeded"
    assert isinstance(error_of(state), PersonNeeded)
    assert "0002_no_way_back" in str(error_of(state).at_risk)
    assert applied(case) == ["0001_base", "0002_no_way_back"]


def test_a_second_deployment_hears_who_is_first(case):
    lay_base(case)
    with announce(case.address):
        state = deploy()
    assert isinstance(error_of(state), TargetHeld)
    assert "wedsync-db/" in error_of(state).message
    assert applied(case) == []


def test_a_syntax_error_in_the_last_file_stops_everything(case):
    lay_base(case)
    case.migration("0002_wrong", "create table public.x (\n  id bigint,\n  oops oops oops\n);", "select 1;")
    state = deploy()
    assert isinstance(error_of(state), PlanError)
    assert "0002_wrong/deploy.sql:3" in error_of(state).hint + error_of(state).message
    assert applied(case) == []


def test_data_that_may_not_be_copied_is_not_rehearsed(case):
    lay_base(case)
    text = (case.folder / "environments.toml").read_text()
    (case.folder / "environments.toml").write_text(text.replace("allow_data_copy = true", "allow_data_copy = false"))
    state = deploy()
    assert isinstance(error_of(state), Refused)
    assert applied(case) == []


def test_a_catalog_that_changes_during_the_rehearsal_starts_it_over(case):
    lay_base(case)

    def somebody_else(case):
        with session(case.address, "else") as connection:
            connection.execute("create table public.unforeseen (id int)")

    with once_backed_up(case, somebody_else):
        state = deploy()
    assert state.is_completed(), state.message
    assert len(list(case.installation.home.backups("case").glob("2*"))) == 2, "rehearsed again on a newer backup"
    assert applied(case) == ["0001_base"]


def test_a_wrong_environment_is_an_error_before_the_run(case):
    from prefect.exceptions import ParameterTypeError

    from flows.deploy import deploy as flow

    with pytest.raises(ParameterTypeError):
        flow("nowhere")
