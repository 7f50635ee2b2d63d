"""Who is told of a deployment, what arrives, and that nobody's silence changes anything."""

from __future__ import annotations

import socket
import threading

import pytest
from httpx import AsyncClient
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Crashed

from tests.flows.test_approval import YES, somebody
from tests.support.broken import BASE, lay_base, once_backed_up, planted, switch_on
from tests.support.case import PASSWORD, write_settings
from tests.support.receiver import BLOCK, TOKEN, Receiver, mailbox, receiving, webhook
from tests.support.served import until
from wedsync_db.errors import PersonNeeded
from wedsync_db.migrate.recover import Recovery
from wedsync_db.model import DeploymentStatus, Event
from wedsync_db.postgres.locks import announce

pytestmark = pytest.mark.usefixtures("prefect_server")

SECRET = "postgresql://u:hunter2-in-an-error@db/x"


@pytest.fixture
def told(case, monkeypatch) -> Receiver:
    """What arrives at the block that both environments name, however busy this machine is."""
    from tasks import notify

    monkeypatch.setattr(notify, "_PATIENCE_SECONDS", 60.0)
    write_settings(case.folder, f'notify = ["{BLOCK}"]')
    lay_base(case)
    with receiving() as receiver:
        save(receiver.url)
        yield receiver


def save(url: str, name: str = "ops") -> None:
    CustomWebhookNotificationBlock(**webhook(url)).save(name, overwrite=True)


def deploy(environment="case", **parameters):
    from flows.deploy import deploy as flow

    return flow(environment, **parameters, return_state=True)


def page_of(run) -> str:
    from tasks.publishing import run_page

    return run_page(run)


def test_each_end_of_a_deployment_is_told_once_with_its_page_and_without_secrets(case, told, monkeypatch):
    from wedsync_db.migrate import roll_back

    state = deploy()
    page = page_of(state.state_details.flow_run_id)
    assert page.startswith("http")
    assert told.messages == [
        ("case: deployment started", f"1 migration to deploy: {BASE}\n{page}"),
        ("case: deployed", f"{state.message}\n{page}"),
    ]
    assert deploy().is_completed()
    assert len(told.messages) == 2, "nothing pending is nothing to tell"

    with announce(case.address):
        assert deploy().name == "TargetHeld"
    assert told.subjects[2:] == ["case: failed"]
    assert "wedsync-db/" in told.bodies[2]

    case.migration("0002_fine", "create table public.fine (id int);", "drop table public.fine;")
    planted(case, 3, f"raise 'planted: {SECRET}';")
    with once_backed_up(case, switch_on):
        state = deploy("case_each")
    assert state.name == "RolledBack"
    assert told.subjects[3:] == ["case_each: deployment started", "case_each: rolled back"]
    line, page = told.bodies[-1].splitlines()
    assert "0003_planted" in line
    assert "exactly as before" in line
    assert page == page_of(state.state_details.flow_run_id)

    def lossy(*_, **__):
        raise PersonNeeded("rows would be lost", at_risk=("3 rows",))

    monkeypatch.setattr(roll_back, "roll_back", lossy)
    case.rows("delete from public.switch returning 1")
    with once_backed_up(case, switch_on):
        assert deploy().name == "PersonNeeded"
    assert told.subjects[5:] == ["case: deployment started", "case: a person is needed"]
    assert "hunter2" not in str(told.messages)
    assert PASSWORD not in str(told.messages)


def test_a_wait_for_an_approval_is_told_while_it_waits(case, told, monkeypatch):
    from tasks import approve

    monkeypatch.setattr(approve, "_POLL_SECONDS", 0.2)
    write_settings(case.folder, f'approval = true\nnotify = ["{BLOCK}"]\nnotify_on = ["person_needed"]')
    seen = []

    def act(person):
        run = person.reads()
        until(lambda: told.messages)
        seen.extend(told.messages)
        person.answers(run, **YES)

    with somebody(act):
        state = deploy()
    assert state.is_completed()
    assert told.messages == seen, "nothing else was asked for"
    ((subject, body),) = seen
    assert subject == "case: a person is needed"
    assert "waits for an approval until" in body
    assert body.endswith(page_of(state.state_details.flow_run_id))


def warned(caplog) -> str:
    return "\n".join(r.getMessage() for r in caplog.records if (r.name, r.levelname) == ("wedsync_db", "WARNING"))


class Pigeon(NotificationBlock):
    """Somebody else's block, which knows of no call without an event loop."""

    _block_type_slug = "pigeon"
    home: str

    async def notify(self, body: str, subject: str | None = None) -> None:
        async with AsyncClient() as client:
            await client.post(self.home, json={"subject": "by pigeon", "body": body})


def test_a_receiver_that_does_not_behave_is_warned_of_and_changes_nothing(case, told, monkeypatch, caplog):
    from tasks import notify

    monkeypatch.setattr(notify, "_PATIENCE_SECONDS", 3.0)
    Pigeon(home=told.url).save("ops", overwrite=True)
    Secret(value=TOKEN).save("planted", overwrite=True)
    with receiving() as errs, receiving() as hangs, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        errs.status = 500
        hangs.go_on.clear()
        save(errs.url, "errs")
        save(hangs.url, "hangs")
        save(f"http://127.0.0.1:{nobody.getsockname()[1]}/{TOKEN}", "refuses")
        blocks = ["custom-webhook/hangs", BLOCK, "custom-webhook/refuses", "custom-webhook/errs"]
        blocks += ["pigeon/ops", "slack-webhook/nowhere", "secret/planted"]
        write_settings(case.folder, f'notify = {blocks}\nnotify_on = ["done"]')
        state = deploy()
    assert state.is_completed(), state.message
    assert case.rows("select status from wedsync_db.deployment") == [("done",)]
    assert sorted(told.subjects) == ["by pigeon", "case: deployed"]
    assert errs.subjects == hangs.subjects == ["case: deployed"]
    expected = (
        "still on its way",
        "custom-webhook/refuses was not told 'case: deployed': unexpected ConnectError",
        "custom-webhook/errs was not told 'case: deployed': unexpected HTTPStatusError",
        "slack-webhook/nowhere was not told 'case: deployed': this Prefect server has no such block",
        "secret/planted was not told 'case: deployed': it is no notification block",
    )
    until(lambda: all(words in warned(caplog) for words in expected), 20)
    assert TOKEN not in caplog.text


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # by what Prefect sends with, on older Pythons
def test_mail_is_sent_by_a_block_for_slack_whose_address_is_a_mail_server(case, told):
    from tasks import notify

    write_settings(case.folder, 'notify = ["slack-webhook/mail"]')
    with mailbox() as (port, letters):
        address = f"mailto://127.0.0.1:{port}?from=db@example.org&to=on-call@example.org&mode=insecure&format=text"
        SlackWebhook(url=address).save("mail", overwrite=True)
        for _ in range(2):  # told once
            notify.notify("case", Event.ROLLED_BACK, "as before")
        notify.notify("nowhere", Event.ROLLED_BACK, "as before")  # is no reason to fail
        notify.wait_for_messages()
    (letter,) = letters
    assert "Subject: case: rolled back" in letter
    assert "To: on-call@example.org" in letter
    assert "as before" in letter


def interrupted(state) -> None:
    """Prefect's hook, as a worker calls it in a process of its own."""
    from flows.deploy import deploy as flow
    from tasks.recover import recover_afterwards

    with get_client(sync_client=True) as client:
        created = client.create_flow_run(flow, parameters={"environment": "case"}, state=state)
        run: FlowRun = client.read_flow_run(created.id)
    thread = threading.Thread(target=recover_afterwards, args=(flow, run, state))  # knows of no run
    thread.start()
    thread.join()


UNDONE = (Recovery("d", DeploymentStatus.ROLLED_BACK, "deployment d was undone"),)


@pytest.mark.parametrize(
    ("state", "found", "subject", "text"),
    [
        (Crashed(), UNDONE, "rolled back", "was interrupted (Crashed). deployment d was undone"),
        (Cancelled(), (), "failed", "(Cancelled). case: nothing had been begun"),
        (Crashed(), PersonNeeded("rows would be lost"), "a person is needed", "rows would be lost"),
        (Crashed(), OSError(SECRET), "a person is needed", "unexpected OSError"),
    ],
)
def test_what_became_of_an_interrupted_run_is_told_by_its_hook(case, told, monkeypatch, state, found, subject, text):
    def recovered(*_):
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("tasks.recover.recovered", recovered)
    interrupted(state)
    ((told_subject, body),) = told.messages
    assert told_subject == f"case: {subject}"
    assert text in body
    assert "hunter2" not in body
    assert "/runs/flow-run/" in body


def test_reconcile_tells_what_it_settled_and_once_that_a_person_is_needed(case, told, monkeypatch):
    from flows.reconcile import reconcile

    found = iter([UNDONE, PersonNeeded("a"), PersonNeeded("a"), PersonNeeded("b"), (), PersonNeeded("b")])

    def recovered(*_):
        one = next(found)
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr("tasks.reconcile.recovered", recovered)
    for _ in range(6):
        reconcile("case", return_state=True)
    assert told.subjects == ["case: rolled back"] + ["case: a person is needed"] * 3
    assert [body.splitlines()[0] for body in told.bodies] == [
        "deployment d was undone",
        "case: a",
        "case: b",
        "case: b",
    ]
