"""Start the shards of a load test as runs of the deployment load_shard, and call off those that nobody took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled

from tasks.names import EnvironmentName
from tasks.running import logger
from wedsync_db.errors import Refused, Unreachable, UsageError
from wedsync_db.load.shards import Shards

_DEPLOYMENT = "load_shard/load_shard"


def require_api() -> None:
    """Make sure that there is a Prefect server whose workers could take shards.

    Raises:
        UsageError: there is none; a run's temporary server has no workers.
    """
    if not PREFECT_API_URL.value():
        raise UsageError(
            "there is no Prefect server to start the shards on",
            hint="Set PREFECT_API_URL to the server's API, for example http://127.0.0.1:4200/api after `up`.",
        )


def shards_of(environment: EnvironmentName, count: int) -> Shards:
    """How a load test gets its shards.

    Raises:
        UsageError: there is no Prefect server.
    """
    require_api()
    return Shards(count, lambda ticket: _started(environment, ticket, count))


@contextmanager
def _started(environment: EnvironmentName, ticket: str, count: int) -> Iterator[None]:
    """A run for each shard, until the block ends.

    Raises:
        Refused: the Prefect server does not know the deployment.
        Unreachable: it does not answer.
    """
    runs: list[FlowRun] = []
    try:
        with _telling():
            for number in range(1, count + 1):
                run = _start({"environment": environment, "ticket": ticket, "number": number})
                runs.append(run)  # one by one: whatever fails next, this one is called off
        yield
    finally:
        _call_off(runs)


def _start(parameters: dict[str, Any]) -> FlowRun:
    # with a key: a request whose reply was lost is sent again, and must not start a second
    key = f"{parameters['ticket']}-{parameters['number']}"
    run = run_deployment(_DEPLOYMENT, parameters=parameters, timeout=0, idempotency_key=key)
    return cast("FlowRun", run)  # outside of an event loop it is no coroutine


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except ObjectNotFound:
        raise Refused(
            f"the Prefect server knows no deployment {_DEPLOYMENT}",
            hint="Register it: `up` does, and so does `prefect deploy --all`.",
        ) from None
    except (httpx.HTTPError, RuntimeError) as error:
        raise Unreachable(f"the shards could not be started: {type(error).__name__}") from None


def _call_off(runs: list[FlowRun]) -> None:
    """Those that nobody took yet; one that runs finds out by itself. Best effort: their ticket is worth nothing now."""
    try:
        with get_client(sync_client=True) as client:
            for run in runs:
                state = client.read_flow_run(run.id).state
                if state is None or state.is_scheduled() or state.is_pending():
                    client.set_flow_run_state(run.id, Cancelled(message="Its load test is over."))
    except (httpx.HTTPError, RuntimeError, ObjectNotFound) as error:
        logger.warning("the runs of the shards that are left could not be called off: %s", type(error).__name__)
