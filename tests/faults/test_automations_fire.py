"""What the Prefect server does by itself about runs and workers that are gone, and who is told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect import flow
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_URL
from prefect.states import Failed, Late, Running, State

from tests.support.broken import lay_base, once_backed_up, switch_on
from tests.support.case import write_settings
from tests.support.receiver import BLOCK, Receiver, receiving, webhook
from tests.support.served import Served, serving, until
from wedsync_db.cli import automations
from wedsync_db.cli.prefect_api import ask
from wedsync_db.cli.serving import POOL
from wedsync_db.installation import CHECKOUT, Installation

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

GONE, NO_WORKER, LATE = (one["name"] for one in automations.wanted([], ""))
_SHORTEST_SECONDS = 10  # that Prefect allows


@pytest.fixture
def told(case) -> Receiver:
    write_settings(case.folder, f'notify = ["{BLOCK}"]')
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def hasty(prefect_server, case, told, monkeypatch) -> str:
    """The address of a server whose automations wait ten seconds each."""
    CustomWebhookNotificationBlock(**webhook(told.url)).save("ops", overwrite=True)
    as_they_are = automations.wanted

    def hasty(*arguments):
        found = as_they_are(*arguments)
        for one in found:
            one["trigger"]["within"] = _SHORTEST_SECONDS
        return found

    monkeypatch.setattr(automations, "wanted", hasty)
    address = PREFECT_API_URL.value()
    automations.register(address, [BLOCK])
    yield address
    for one in ask(f"{address}/automations/filter", {}):
        ask(f"{address}/automations/{one['id']}", method="DELETE")


@flow(name="deploy")
def deploying() -> None:
    """Stands for a deployment."""


@flow(name="reconcile")
def reconciling() -> None:
    """Stands for the flow of which a run that is late is no news."""


def run(client: SyncPrefectClient, flow, name: str, *states: State) -> FlowRun:
    created = client.create_flow_run(flow, name=name, tags=["wedsync-db"], state=states[0])
    for state in states[1:]:
        client.set_flow_run_state(created.id, state, force=True)
    return client.read_flow_run(created.id)


def happened(api: str, event: str, resource: str, **labels: str) -> None:
    seen = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": event,
        "resource": {"prefect.resource.id": resource} | labels,
        "related": [{"prefect.resource.id": "prefect.tag.wedsync-db", "prefect.resource.role": "tag"}],
    }
    ask(f"{api}/events", [seen])


def lives(api: str, run: FlowRun) -> None:
    happened(api, "prefect.flow-run.heartbeat", f"prefect.flow-run.{run.id}")


def test_what_is_gone_or_late_is_told_and_what_ended_or_is_only_reconcile_is_not(hasty, told):
    with get_client(sync_client=True) as client:
        pool = client.create_work_pool(WorkPoolCreate(name=POOL, type="process"), overwrite=True)
        gone, ended = (run(client, deploying, name, Running()) for name in ("the-gone-one", "the-ended-one"))
        lives(hasty, ended)
        lives(hasty, gone)
        client.set_flow_run_state(ended.id, Failed(name="RolledBack"), force=True)
        late = run(client, deploying, "the-late-one", Late())
        run(client, reconciling, "the-next-reconcile", Late())
        happened(
            hasty, "prefect.work-pool.not-ready", f"prefect.work-pool.{pool.id}", **{"prefect.resource.name": POOL}
        )
        until(lambda: {GONE, NO_WORKER, LATE} <= set(told.subjects), 60)
        until(lambda: client.read_flow_run(gone.id).state.type is StateType.CRASHED, 30)
        assert client.read_flow_run(ended.id).state.name == "RolledBack"
    assert sorted(told.subjects) == sorted([GONE, NO_WORKER, LATE])
    text = dict(told.messages)
    assert text[GONE].endswith(f"{hasty.removesuffix('/api')}/runs/flow-run/{gone.id}")
    assert text[GONE].startswith("the-gone-one gives no sign of life")
    assert f"/runs/flow-run/{late.id}" in text[LATE]
    assert text[LATE].startswith("the-late-one of deploy should have started")
    assert f"work pool {POOL}" in text[NO_WORKER]


@pytest.fixture
def served(request, told, tmp_path) -> Served:
    if request.config.getoption("moments") < 100:
        pytest.skip("waits until Prefect notices, which takes two minutes: only a long run does")
    with serving(tmp_path) as running:
        yield running


def has_block(served: Served, url: str) -> None:
    """Make the block over HTTP, as the UI does, and have the automations made again for it."""
    kind = served.ask("/block_types/slug/custom-webhook")["id"]
    (schema,) = served.ask("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind]}}, "limit": 1})
    block = {"name": "ops", "block_type_id": kind, "block_schema_id": schema["id"], "data": webhook(url)}
    served.ask("/block_documents/", block)
    environ = os.environ | {"PREFECT_API_URL": served.api}
    answer = automations.automations(SimpleNamespace(), Installation(CHECKOUT, environ))
    assert answer.data == {"automations": [GONE, NO_WORKER, LATE], "missing_blocks": []}


def worker_of(served: Served) -> int:
    """The process that `up` started as its worker."""
    found = subprocess.run(
        ["pgrep", "--parent", str(served.process.pid), "--full", "prefect worker start"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(found.stdout)


def test_a_run_whose_worker_froze_is_marked_and_told_and_what_it_left_is_undone_later(case, told, served):
    has_block(served, told.url)
    lay_base(case)
    run = served.start("case_each")
    until(lambda: served.state(run) == "COMPLETED")
    until(lambda: told.subjects == ["case_each: deployment started", "case_each: deployed"], 10)
    case.migration("0002_fine", "create table public.fine (id int);", "drop table public.fine;")
    sleep = "do $$ begin if exists (select from public.switch) then perform pg_sleep(100); end if; end $$;"
    case.migration("0003_slow", sleep, "select 1;")
    with once_backed_up(case, switch_on):
        run = served.start("case_each")
        until(lambda: case.rows("select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == [(1,)])
    ((runner,),) = case.rows("select runner from wedsync_db.deployment where status = 'running'")
    worker = worker_of(served)
    os.kill(worker, signal.SIGSTOP)
    try:
        told.messages.clear()
        os.kill(int(re.search(r"pid (\d+)", runner)[1]), signal.SIGKILL)
        until(lambda: served.state(run) == "CRASHED")
        until(lambda: GONE in told.subjects, 30)
        assert f"/runs/flow-run/{run}" in dict(told.messages)[GONE]
    finally:
        os.kill(worker, signal.SIGCONT)
    reconcile = served.ask("/deployments/name/reconcile/reconcile")["id"]
    served.ask(f"/deployments/{reconcile}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    # by the first environment of this database: the worker calls no hook of a run that is marked already
    until(lambda: "case: rolled back" in told.subjects)
    assert case.rows("select id from wedsync_db.ledger") == [("0001_base",)]
