"""A deployment that waits for a person: what the form shows, what each answer comes to, and what is kept of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from httpx import HTTPStatusError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import Cancelled, Running

from tests.support.artifacts import artifacts_of
from tests.support.broken import BASE, lay_base
from tests.support.case import write_settings
from wedsync_db.errors import Refused, TargetHeld
from wedsync_db.installation import CHECKOUT
from wedsync_db.migrate.deployment import read_plan, runner_name
from wedsync_db.postgres.locks import announce
from wedsync_db.postgres.session import session

pytestmark = pytest.mark.usefixtures("prefect_server")

YES = {"approve": "Yes\n", "name": "Ada  Lovelace", "reason": "the release of June"}
_PATIENCE_SECONDS = 90.0
_WAITS = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])))


@pytest.fixture(autouse=True)
def approving(case, monkeypatch):
    """An environment that asks; what waits looks often, so that the tests wait less."""
    from tasks import approve

    monkeypatch.setattr(approve, "_POLL_SECONDS", 0.2)
    write_settings(case.folder, "approval = true")
    lay_base(case)


def deploy(**parameters):
    from flows.deploy import deploy as flow

    return flow("case", **parameters, return_state=True)


def error_of(state):
    return state.result(raise_on_failure=False)


def applied(case) -> list[str]:
    return [e.id for e in read_plan(case.address, case.installation.environment("case")).applied]


def on_record(case) -> list[tuple]:
    return case.rows("select approval ->> 'by', approval ->> 'known', approval ->> 'reason' from wedsync_db.deployment")


@dataclass
class Person:
    """Somebody at the Prefect UI: sees which run waits, reads its form, and answers."""

    forms: list[str] = field(default_factory=list)

    def reads(self) -> FlowRun:
        """The run that waits, as soon as there is a form that was not read yet."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with get_client(sync_client=True) as client:
                for run in client.read_flow_runs(flow_run_filter=_WAITS):
                    form = _form(client, run)
                    if form and form not in self.forms:
                        self.forms.append(form)
                        return run
            time.sleep(0.05)
        raise AssertionError("no run waits for an approval")

    def answers(self, run: FlowRun, **answer: str) -> SetStateStatus:
        with get_client(sync_client=True) as client:
            return client.resume_flow_run(run.id, run_input=answer).status


def _form(client: SyncPrefectClient, run: FlowRun) -> str | None:
    try:
        return client.read_flow_run_input(run.id, run.state.state_details.run_input_keyset["description"])
    except HTTPStatusError:  # the run pauses first and says then what it asks
        return None


@contextmanager
def somebody(act: Callable[[Person], None]) -> Iterator[Person]:
    """Let a person act in a thread while the deployment runs in this one."""
    person, failed = Person(), []

    def go() -> None:
        try:
            act(person)
        except BaseException as error:  # noqa: BLE001 told by the test, not by the thread
            failed.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    yield person
    thread.join()
    if failed:
        raise failed[0]


def ours_on(case) -> list[tuple]:
    return case.rows(
        "select application_name from pg_stat_activity where application_name like 'wedsync-db/%' "
        "and datname = current_database() and pid <> pg_backend_pid()"
    )


def test_a_yes_deploys_and_is_on_record(case):
    held = []

    def act(person):
        run = person.reads()
        held.extend(ours_on(case))
        for wrong in (
            {},
            YES | {"approve": "maybe"},
            YES | {"approve": "yes or no"},
            YES | {"name": " "},
            YES | {"more": "x"},
        ):
            assert person.answers(run, **wrong) is SetStateStatus.REJECT
        assert person.answers(run, **YES) is SetStateStatus.ACCEPT

    with somebody(act) as person:
        state = deploy()
    assert state.is_completed(), state.message
    assert applied(case) == [BASE]
    assert held == [], "nothing is held on the target while a person thinks"
    (form,) = person.forms
    assert "# Deploy 1 migration to case?" in form
    assert all(part in form for part in ("## What runs", BASE, "## Who would wait", "## Can it be undone"))
    assert on_record(case) == [("Ada Lovelace", "name as typed into the form", "the release of June")]
    said = "approved by Ada Lovelace (name as typed into the form): the release of June"
    (report,) = case.installation.home.reports.glob("case/*.html")
    assert said in report.read_text()
    assert said in page_of(state)


def page_of(state) -> str:
    (page,) = [a.data for a in artifacts_of(state.state_details.flow_run_id) if a.key == "result-case"]
    return page


def test_a_no_ends_as_refused(case):
    with somebody(lambda person: person.answers(person.reads(), **YES | {"approve": "no", "reason": "too late"})):
        state = deploy()
    assert state.name == "Refused"
    assert isinstance(error_of(state), Refused)
    assert "Ada Lovelace said no" in error_of(state).message
    assert "too late" in page_of(state)
    assert applied(case) == []
    assert case.rows("select count(*) from pg_namespace where nspname = 'wedsync_db'") == [(0,)]


def test_no_answer_in_time_ends_as_refused(case, monkeypatch):
    from tasks import approve

    monkeypatch.setattr(approve, "_MINUTE_SECONDS", 0.05)
    state = deploy()
    with get_client(sync_client=True) as client:
        kept = client.read_flow_run(state.state_details.flow_run_id).state
    assert (state.name, kept.name) == ("Refused", "Refused")
    assert "within 60 minutes" in error_of(state).message
    assert applied(case) == []


@pytest.mark.faults
def test_an_answer_after_expiry_starts_nothing(case, monkeypatch):
    """The server has a clock of its own, and turns the answer away before the run itself has noticed."""
    from tasks import approve

    monkeypatch.setattr(approve, "_MINUTE_SECONDS", 1 / 20)
    monkeypatch.setattr(approve, "_POLL_SECONDS", 4)

    def act(person):
        run = person.reads()
        while datetime.now(UTC) < run.state.state_details.pause_timeout:
            time.sleep(0.05)
        assert person.answers(run, **YES) is not SetStateStatus.ACCEPT

    with somebody(act):
        state = deploy()
    with get_client(sync_client=True) as client:
        kept = client.read_flow_run(state.state_details.flow_run_id).state
    assert (state.name, kept.name) == ("Refused", "Refused")
    assert applied(case) == []


def another_migration(case) -> None:
    case.migration("0002_fine", "create table public.fine (id int);", "drop table public.fine;")


def another_table(case) -> None:
    with session(case.address, "else") as connection:
        connection.execute("create table public.unforeseen (id int)")


@pytest.mark.parametrize(("change", "deployed"), [(another_migration, [BASE, "0002_fine"]), (another_table, [BASE])])
def test_what_changed_meanwhile_is_rehearsed_and_asked_again(case, change, deployed):
    def act(person):
        run = person.reads()
        change(case)
        assert person.answers(run, **YES) is SetStateStatus.ACCEPT
        assert person.reads().id == run.id, "it asks again, in the same run"
        assert applied(case) == []
        assert person.answers(run, **YES | {"reason": "still fine"}) is SetStateStatus.ACCEPT

    with somebody(act) as person:
        state = deploy()
    assert state.is_completed(), state.message
    assert applied(case) == deployed
    assert f"# Deploy {len(deployed)} migration" in person.forms[1]
    assert [reason for _, _, reason in on_record(case)] == ["still fine"]


@pytest.mark.faults
def test_a_yes_while_another_deployment_runs_starts_nothing(case):
    go_on = threading.Event()

    def act(person):
        run = person.reads()
        with announce(case.address):
            assert person.answers(run, **YES) is SetStateStatus.ACCEPT
            assert go_on.wait(_PATIENCE_SECONDS)

    with somebody(act):
        state = deploy()
        go_on.set()
    assert isinstance(error_of(state), TargetHeld)
    assert applied(case) == []


def test_a_run_that_is_resumed_without_an_answer_is_refused(case):
    def act(person):
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(person.reads().id, Running(), force=True)

    with somebody(act):
        state = deploy()
    assert state.name == "Refused"
    assert "without an answer" in error_of(state).message
    assert applied(case) == []


@pytest.mark.faults
def test_a_run_cancelled_while_it_waits_starts_nothing(case, monkeypatch):
    from tasks import approve

    monkeypatch.setattr(approve, "_MINUTE_SECONDS", 1 / 20)

    def act(person):
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(person.reads().id, Cancelled(), force=True)

    with somebody(act):
        state = deploy()
    assert "was cancelled" in error_of(state).message
    assert applied(case) == []


def test_an_approval_in_advance_is_on_record_as_such(case):
    assert deploy(yes=True).is_completed()
    ((by, known, reason),) = on_record(case)
    assert (by, known, reason) == (runner_name(), "in advance, by starting the run so", "")


@pytest.mark.faults
@pytest.mark.parametrize(("typed", "code", "deployed"), [("case\n", 0, [BASE]), ("yes\n", 3, [])])
def test_on_a_terminal_with_a_server_of_its_own_the_name_is_typed(case, typed, code, deployed):
    ours, theirs = os.openpty()
    environ = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    command = [sys.executable, "-m", "flows", "deploy", "case"]
    with subprocess.Popen(command, cwd=CHECKOUT, env=environ, stdin=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while b"type the environment's name (case): " not in shown:
            shown += os.read(ours, 4096)
        assert applied(case) == []
        os.write(ours, typed.encode())
        while process.poll() is None:
            with suppress(OSError):  # the terminal ends with the process
                shown += os.read(ours, 4096)
    os.close(ours)
    assert (process.returncode, applied(case)) == (code, deployed), shown.decode()
    assert b"0001_base: revert exact" in shown
    if deployed:
        assert [known for _, known, _ in on_record(case)] == ["on the terminal, by this login"]
