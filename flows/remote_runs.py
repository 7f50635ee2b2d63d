"""`deploy --remote`: start the deployment on the Prefect server, tell its logs as they come, end as it ended."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from flows.local_runs import prepare
from wedsync_db.cli.answer import Answer
from wedsync_db.cli.terminal import say
from wedsync_db.errors import Inconclusive, Refused, Unreachable, UsageError, WedsyncError, error_named
from wedsync_db.installation import Installation

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

T = TypeVar("T")

_DEPLOYMENT = "deploy/deploy"
_POLL_SECONDS = 1.0
_LINES = 200  # what the server gives at once
_QUIET_SECONDS = 4.0  # lines are sent in batches: the last ones arrive after the final state
_UNCLAIMED_SECONDS = 300.0  # after which a run that no worker takes is called off
_PATIENCE_SECONDS = 120.0  # with a server that does not answer: it may be restarting
_NO_SERVER = "Set PREFECT_API_URL to the server's API, for example http://127.0.0.1:4200/api after `up`."


def deploy_remotely(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Start a deployment where a worker runs it, and see it to its end.

    Started again with the same key it is the same run, whatever became of it. Interrupted, the run goes on: it is
    cancelled in the Prefect UI.

    Raises:
        UsageError: there is no server to ask.
        Unreachable: the server does not answer.
        Refused: it does not know the deployment.
        Inconclusive: no worker took the run, and it was called off.
        WedsyncError: what the run ended with, as the error of that name.
    """
    installation.environment(arguments.environment)
    prepare(installation)
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    from tasks.publishing import run_page

    if not PREFECT_API_URL.value():
        raise UsageError("there is no Prefect server to start the deployment on", hint=_NO_SERVER)
    with get_client(sync_client=True) as client:
        run = _patiently(lambda: _started(client, arguments))
        page = run_page(run.id)
        say(f"started as {run.name}: {page}")
        return _answer(_followed(client, run.id, page), page)


def _started(client: SyncPrefectClient, arguments: argparse.Namespace) -> FlowRun:
    from prefect.exceptions import ObjectNotFound

    wanted = {"environment": arguments.environment, "yes": arguments.yes, "overrides": list(arguments.override)}
    try:
        deployment = client.read_deployment_by_name(_DEPLOYMENT)
    except ObjectNotFound:
        raise Refused(
            f"the Prefect server knows no deployment {_DEPLOYMENT}",
            hint="Register it where the worker is: `up` does, and so does `prefect deploy --all`.",
        ) from None
    return client.create_flow_run_from_deployment(deployment.id, parameters=wanted, idempotency_key=arguments.key)


def _followed(client: SyncPrefectClient, run_id: UUID, page: str) -> FlowRun:
    """The run once it has ended and its last lines were told."""
    told: set[UUID] = set()
    begun = quiet_since = time.monotonic()
    waits = False
    while True:
        run = _patiently(lambda: client.read_flow_run(run_id))
        final, known = run.state is not None and run.state.is_final(), len(told)
        # a line may come late, but not by a page; at the end all are looked through again
        since = 0 if final else max(0, known - _LINES)
        _patiently(partial(_tell, client, run_id, told, since))
        if len(told) > known:
            quiet_since = time.monotonic()
        if final and time.monotonic() - quiet_since > _QUIET_SECONDS:
            return run
        if run.state and run.state.is_scheduled() and time.monotonic() - begun > _UNCLAIMED_SECONDS:
            _call_off(client, run)
        if run.state and run.state.is_paused() and not waits:
            waits = True
            say(f"waits for an approval: {page}")
        time.sleep(_POLL_SECONDS)


def _tell(client: SyncPrefectClient, run_id: UUID, told: set[UUID], since: int) -> None:
    """Tell the lines from number `since` on that were not told yet, in the order they were written."""
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.client.schemas.sorting import LogSort

    of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
    for offset in range(since, len(told) + _LINES, _LINES):
        for line in client.read_logs(of_run, limit=_LINES, offset=offset, sort=LogSort.TIMESTAMP_ASC):
            if line.id is not None and line.id not in told:
                told.add(line.id)
                say(line.message)


def _call_off(client: SyncPrefectClient, run: FlowRun) -> None:
    from prefect.states import Cancelled

    client.set_flow_run_state(run.id, Cancelled(message="No worker took it."), force=True)
    raise Inconclusive(
        f"no worker took {run.name} in {_UNCLAIMED_SECONDS:.0f} s; it was called off",
        hint="Is a worker running for its work pool? `up` starts one. Nothing was touched.",
    )


def _answer(run: FlowRun, page: str) -> Answer:
    state = run.state
    if state is not None and state.is_completed():
        return Answer("", {"run": str(run.id), "state": state.name, "result": state.message})
    name, message = (state.name, state.message) if state else ("", "")
    raise error_named(name or "", f"{run.name} ended as {name}: {message}", hint=f"The run with its pages: {page}")


def _patiently(call: Callable[[], T]) -> T:
    """What a question to the server answers; a server that is busy or restarting is asked again for a while."""
    import httpx

    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            with _refusals():
                return call()
        except httpx.HTTPError as error:
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"the Prefect server does not answer: {type(error).__name__}",
                    hint="A run that was started goes on without us; look for it in the UI.",
                ) from None
        time.sleep(_POLL_SECONDS)


@contextmanager
def _refusals() -> Iterator[None]:
    """What no second try mends."""
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    except PrefectHTTPStatusError as error:
        known: Mapping[int, WedsyncError] = {
            401: Refused("the Prefect server lets nobody in without a password", hint="Set PREFECT_API_AUTH_STRING."),
            403: Refused("the Prefect server does not let this user in", hint="Set PREFECT_API_AUTH_STRING."),
            409: UsageError("the Prefect server takes no such parameters", hint="See the deployment's form in the UI."),
            422: UsageError("the Prefect server takes no such parameters", hint="See the deployment's form in the UI."),
        }
        if error.response.status_code in known:
            raise known[error.response.status_code] from None
        raise
