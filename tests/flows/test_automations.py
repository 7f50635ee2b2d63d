"""The automations on a Prefect server: what they are interested in, and that making them again changes nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.server.events.schemas.automations import AutomationCreate
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.settings import PREFECT_API_URL

from tests.support.case import write_settings
from tests.support.receiver import BLOCK, webhook
from wedsync_db.cli import automations, serving
from wedsync_db.cli.prefect_api import ask
from wedsync_db.errors import Unreachable, UsageError
from wedsync_db.installation import CHECKOUT, Installation

GONE, NO_WORKER, LATE = (one["name"] for one in automations.wanted([], ""))
OURS = {"prefect.resource.id": "prefect.tag.wedsync-db", "prefect.resource.role": "tag"}
POOL = {"prefect.resource.name": serving.POOL}


def triggers():
    return {
        one["name"]: AutomationCreate.model_validate(one).trigger
        for one in automations.wanted([str(uuid4())], "http://prefect")
    }


def flow(name: str) -> dict[str, str]:
    return {"prefect.resource.id": f"prefect.flow.{uuid4()}", "prefect.resource.role": "flow", **named(name)}


def named(name: str) -> dict[str, str]:
    return {"prefect.resource.name": name}


@pytest.mark.parametrize(
    ("event", "labels", "related", "interested"),
    [
        ("prefect.flow-run.heartbeat", {}, [OURS, flow("deploy")], {GONE, LATE}),
        ("prefect.flow-run.RolledBack", {}, [OURS, flow("deploy")], {GONE, LATE}),
        ("prefect.flow-run.Late", {}, [OURS, flow("reconcile")], {GONE}),
        ("prefect.flow-run.Late", {}, [OURS, flow("monitor")], {GONE}),
        ("prefect.flow-run.heartbeat", {}, [flow("of-somebody-else")], set()),
        ("prefect.work-pool.not-ready", POOL, [], {NO_WORKER}),
        ("prefect.work-pool.not-ready", named("another"), [], set()),
    ],
)
def test_prefect_takes_them_and_their_triggers_see_what_they_should(event, labels, related, interested):
    kind = event.rpartition(".")[0]
    seen = ReceivedEvent(
        occurred=datetime.now(UTC),
        event=event,
        resource={"prefect.resource.id": f"{kind}.{uuid4()}", **labels},
        related=related,
        id=uuid4(),
    )
    assert {name for name, trigger in triggers().items() if trigger.covers(seen)} == interested


def test_runs_give_a_sign_of_life_often_enough():
    pool = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())["definitions"]["work_pool"]
    every = int(pool["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
    assert triggers()[GONE].within.total_seconds() >= 3 * every, "one that is lost is no reason to call a run dead"


@pytest.fixture
def api(prefect_server, case, monkeypatch) -> str:
    address = PREFECT_API_URL.value()
    monkeypatch.setenv("PREFECT_API_URL", address)
    yield address
    for one in ask(f"{address}/automations/filter", {}):
        ask(f"{address}/automations/{one['id']}", method="DELETE")


def kept(api: str) -> dict[str, dict]:
    found = ask(f"{api}/automations/filter", {})
    assert len({one["name"] for one in found}) == len(found), "none of them twice"
    return {one["name"]: one for one in found}


def run():
    return automations.automations(SimpleNamespace(), Installation(CHECKOUT, os.environ))


def test_they_are_renewed_and_never_doubled(api, case):
    CustomWebhookNotificationBlock(**webhook("http://127.0.0.1:1/")).save("ops", overwrite=True)
    write_settings(case.folder, f'notify = ["{BLOCK}", "slack-webhook/nowhere"]')
    answer = run()
    assert (answer.exit_code, answer.data["missing_blocks"]) == (1, ["slack-webhook/nowhere"])
    first = kept(api)
    assert set(first) == {GONE, NO_WORKER, LATE}
    assert [action["type"] for action in first[GONE]["actions"]] == ["change-flow-run-state", "send-notification"]
    assert [action["type"] for action in first[LATE]["actions"]] == ["send-notification"]
    ask(f"{api}/automations/{first[LATE]['id']}", {"enabled": False}, method="PATCH")
    ask(f"{api}/automations/", automations.wanted([], "")[0] | {"name": NO_WORKER})

    write_settings(case.folder, f'notify = ["{BLOCK}"]')
    assert run().exit_code == 0
    again = kept(api)
    assert {name: (again[name]["id"], again[name]["enabled"]) for name in (GONE, LATE)} == {
        GONE: (first[GONE]["id"], True),
        LATE: (first[LATE]["id"], False),
    }
    assert len(again[NO_WORKER]["actions"]) == 1

    write_settings(case.folder)
    assert run().data["automations"] == [GONE]
    assert set(kept(api)) == {GONE}, "without anybody to tell there is nothing to do"


def test_doctor_looks_for_the_blocks(api):
    CustomWebhookNotificationBlock(**webhook("http://127.0.0.1:1/")).save("ops", overwrite=True)

    def found(server, *blocks):
        return [(f.severity, f.message) for f in automations.blocks_found(blocks, server)]

    assert found(api) == [("note", "nobody is told of deployments: notify names no block")]
    assert found(api, BLOCK, "slack-webhook/nowhere") == [
        ("note", f"the Prefect server has block {BLOCK}"),
        ("warning", "the Prefect server has no block slack-webhook/nowhere"),
    ]
    assert found(None, BLOCK) == [("note", f"not asked whether there is a block {BLOCK}: PREFECT_API_URL is not set")]
    ((severity, message),) = found("http://127.0.0.1:1/api", BLOCK)
    assert severity == "warning"
    assert message.endswith("URLError")


def test_a_server_that_is_not_there_is_told(case, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(UsageError, match="PREFECT_API_URL is not set"):
        run()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    with pytest.raises(Unreachable, match="could not be made: URLError"):
        run()


def test_up_serves_without_automations_too(case, monkeypatch):
    said = []
    monkeypatch.setattr(serving, "say", said.append)
    serving._automate("http://127.0.0.1:1/api", case.installation)
    assert said == ["the automations could not be made: URLError"]
