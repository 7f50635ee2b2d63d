"""`deploy --remote`: start the deployment on the Prefect server, tell its logs as they come, end as it ended."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID, uuid4

from flows.local_runs import NOT_LET_IN, not_let_in, prepare
from wedsync_db.cli.answer import Answer
from wedsync_db.cli.terminal import say
from wedsync_db.errors import Inconclusive, Refused, Unreachable, UsageError, WedsyncError, error_named
from wedsync_db.installation import Installation

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, Log

T = TypeVar("T")

_DEPLOYMENT = "deploy/deploy"
_POLL_SECONDS = 1.0
_NOT_TAKEN = (409, 422)  # parameters that do not fit the deployment's form
_LINES = 200  # what the server gives at once
_RUNS_LOGGER = "prefect.flow_runs"  # of the run itself: its tasks and its worker have others
_LAST_LINE = "Finished in state"  # Prefect's own, by the run's process; a killed one does not get there
_QUIET_SECONDS = 15.0  # without it: after a crash, and while the hook that undoes the rest has still to speak
_UNCLAIMED_SECONDS = 300.0  # after which a run that no worker takes is called off
_PATIENCE_SECONDS = 120.0  # with a server that does not answer: it may be restarting
_NO_SERVER = "Set PREFECT_API_URL to the server's API, for example http://127.0.0.1:4200/api after `up`."
_GOES_ON = (
    "A run that was started goes on without us: look for it in the UI. `status` says where the deployment stands."
)


def deploy_remotely(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Start a deployment where a worker runs it, and see it to its end.

    Started again with the same key it is the same run, whatever became of it. Interrupted, the run goes on: it is
    cancelled in the Prefect UI.

    Raises:
        UsageError: there is no server to ask.
        Unreachable: the server does not answer, and nothing was started.
        Refused: it does not let us in, or does not know the deployment.
        Inconclusive: it cannot be said how the run ended: the server stopped answering, the run was deleted there, or
            no worker took it and it was called off.
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
        deployment = _patiently(lambda: _deployment(client))
        # always a key: a request that is sent again because its reply was lost must not start a second run. And one of
        # the environment: a pipeline that gives its number to staging and to production means two runs
        key = f"{arguments.environment}/{arguments.key or uuid4()}"
        with _nobody_knows(Unreachable):
            run = _patiently(lambda: _started(client, deployment, arguments, key))
        page = run_page(run.id)
        say(f"started as {run.name}: {page}")
        with _nobody_knows(Unreachable, Refused):
            run = _followed(client, run.id, page)
        return _answer(run, page)


def _deployment(client: SyncPrefectClient) -> UUID:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(_DEPLOYMENT).id
    except ObjectNotFound:
        raise Refused(
            f"the Prefect server knows no deployment {_DEPLOYMENT}",
            hint="Register it where the worker is: `up` does, and so does `prefect deploy --all`.",
        ) from None


def _started(client: SyncPrefectClient, deployment: UUID, arguments: argparse.Namespace, key: str) -> FlowRun:
    wanted = {"environment": arguments.environment, "yes": arguments.yes, "overrides": list(arguments.override)}
    return client.create_flow_run_from_deployment(deployment, parameters=wanted, idempotency_key=key)


@contextmanager
def _nobody_knows(*after: type[WedsyncError]) -> Iterator[None]:
    """From the request that starts the run on, a server that is gone leaves unknown how it ends."""
    from prefect.exceptions import ObjectNotFound

    try:
        yield
    except after as error:
        raise Inconclusive(f"{error.message}; what becomes of the run is not known here", hint=_GOES_ON) from None
    except ObjectNotFound:
        raise Inconclusive("the run was deleted on the Prefect server", hint=_GOES_ON) from None


def _followed(client: SyncPrefectClient, run_id: UUID, page: str) -> FlowRun:
    """The run once it has ended and its last lines were told."""
    told: dict[UUID, Log] = {}
    begun = time.monotonic()
    quiet_since, waits = inf, False
    while True:
        run = _patiently(lambda: client.read_flow_run(run_id))
        final, known = run.state is not None and run.state.is_final(), len(told)
        # a line may come late, but not by a page; at the end all are looked through again
        since = 0 if final else max(0, known - _LINES)
        _patiently(partial(_tell, client, run_id, told, since))
        if final:  # however quiet it was before: what it said last may still be under way
            quiet_since = time.monotonic() if len(told) > known else min(quiet_since, time.monotonic())
        if final and (_said_all(told) or time.monotonic() - quiet_since > _QUIET_SECONDS):
            return run
        if run.state and run.state.is_scheduled() and time.monotonic() - begun > _UNCLAIMED_SECONDS:
            _call_off(client, run)
        if run.state and run.state.is_paused() and not waits:
            waits = True
            say(f"waits for an approval: {page}")
        time.sleep(_POLL_SECONDS)


def _said_all(told: Mapping[UUID, Log]) -> bool:
    """Whether the run's own process has said its last line: lines are sent in their order, so nothing is missing."""
    return any(line.name == _RUNS_LOGGER and line.message.startswith(_LAST_LINE) for line in told.values())


def _tell(client: SyncPrefectClient, run_id: UUID, told: dict[UUID, Log], since: int) -> None:
    """Tell the lines from number `since` on that were not told yet, in the order they were written."""
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.client.schemas.sorting import LogSort

    of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
    for offset in range(since, len(told) + _LINES, _LINES):
        for line in client.read_logs(of_run, limit=_LINES, offset=offset, sort=LogSort.TIMESTAMP_ASC):
            if line.id is not None and line.id not in told:
                told[line.id] = line
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

    begun, told = time.monotonic(), False
    while True:
        try:
            with _refusals():
                return call()
        except httpx.HTTPError as error:
            silent = f"the Prefect server does not answer: {type(error).__name__}"
            if time.monotonic() - begun > _PATIENCE_SECONDS:
                raise Unreachable(silent, hint=_NO_SERVER) from None
            if not told:
                say(f"{silent}; trying again for {_PATIENCE_SECONDS:.0f} s")
            told = True
        time.sleep(_POLL_SECONDS)


@contextmanager
def _refusals() -> Iterator[None]:
    """What no second try mends."""
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    except PrefectHTTPStatusError as error:
        code = error.response.status_code
        if code in NOT_LET_IN:
            raise not_let_in() from None
        if code in _NOT_TAKEN:
            raise UsageError(
                "the Prefect server takes no such parameters",
                hint="Does its deployment know this environment? See its form in the UI; `up` renews it.",
            ) from None
        raise
