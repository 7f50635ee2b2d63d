"""Run a flow from the command line: recorded in Prefect like any other run, told to the terminal in our own words."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wedsync_db.cli.answer import Answer
from wedsync_db.errors import Inconclusive, Refused, Unreachable, UsageError, WedsyncError
from wedsync_db.guard.decide import parse_overrides
from wedsync_db.installation import Installation
from wedsync_db.postgres.session import session
from wedsync_db.report.errors import unexpected

_SETTINGS = {
    "PREFECT_LOGGING_SETTINGS_PATH": str(Path(__file__).with_name("logging.yml")),
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_CLI_PROMPT": "false",
    "DO_NOT_TRACK": "1",
}
NOT_LET_IN = (401, 403)  # of a Prefect server, or of what stands before it
_LOST = "`status` says where the deployment stands; `recover` finishes or undoes what was left."


def deploy(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Run the deployment flow here, against the Prefect server that is configured or a temporary one; or remotely.

    Raises:
        UsageError: an override that is not right, or a key, which only a remote run has.
    """
    parse_overrides(arguments.override)  # before anything is started for it
    if arguments.remote:
        from flows.remote_runs import deploy_remotely

        return deploy_remotely(arguments, installation)
    if arguments.key:
        raise UsageError("--key goes with --remote", hint="A run of the command line is never started twice.")
    # Prefect takes seconds to start: what can be known to be wrong is told before
    with installation.target(arguments.environment, create=True) as address, session(address, "deploy"):
        prepare(installation)
    from flows.deploy import deploy as flow

    return run(lambda: flow(arguments.environment, arguments.yes, tuple(arguments.override), return_state=True))


def prepare(installation: Installation) -> None:
    """Set Prefect up for a run in this process; call it before Prefect is imported."""
    installation.home.ensure()
    os.environ.setdefault("PREFECT_HOME", str(installation.home.prefect))
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def run(call: Callable[[], Any]) -> Answer:
    """Run a flow and turn its final state into an answer.

    Raises:
        WedsyncError: what the flow ended with, or that it ended by something else.
        Inconclusive: Prefect lost the run.
        Refused: the Prefect server lets nobody in without a password, and ours is not the one.
        Unreachable: the Prefect API that is configured does not answer, or a temporary one does not start.
    """
    from prefect import tags
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    # joining the heartbeat's thread costs each run a second, and nobody watches a run of the command line for it
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), tags("wedsync-db"):
        _start_api()
        _require_to_be_let_in()
        state = _end_of(call)
    result = state.result(raise_on_failure=False)
    if isinstance(result, WedsyncError):
        raise result
    if not state.is_completed():
        raise Inconclusive(f"the run ended as {state.name}: {state.message}", hint=_LOST)
    return Answer("", {"state": state.name, "result": str(result)})


def _start_api() -> None:
    """Start the temporary server, if the run needs one, deaf to Ctrl-C: the run still has to tell it how it ended."""
    from prefect.client.orchestration import get_client

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a child inherits it
    try:
        get_client(sync_client=True)
    except RuntimeError:
        raise Unreachable(
            "the run's temporary Prefect server did not start",
            hint="Is this machine very busy, or its disk full? PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS gives "
            "it longer; PREFECT_API_URL names a server that runs already. Nothing was touched.",
        ) from None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _require_to_be_let_in() -> None:
    """Ask before the run begins: turned away later, nobody could tell that nothing was touched.

    What else may be wrong with the server the run itself finds out, and says.
    """
    import httpx
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            client.hello()
    except httpx.HTTPStatusError as error:
        if error.response.status_code in NOT_LET_IN:
            raise not_let_in() from None
    except (httpx.HTTPError, RuntimeError):
        return


def not_let_in() -> Refused:
    """What somebody learns whom the Prefect server turned away."""
    return Refused(
        "the Prefect server lets nobody in without its password",
        hint="Set PREFECT_API_AUTH_STRING to what the server has as PREFECT_SERVER_API_AUTH_STRING (user:password). "
        "Nothing was touched.",
    )


def _end_of(call: Callable[[], Any]) -> Any:
    """The run's final state. When Prefect itself fails, at the run's end perhaps, it is not known how far it came."""
    try:
        with _saying_that_there_is_no_api():
            return call()
    except WedsyncError:
        raise
    except Exception as error:  # noqa: BLE001 whatever Prefect raises
        raise Inconclusive(f"the run was lost: {unexpected(error).message}", hint=_LOST) from None


@contextmanager
def _saying_that_there_is_no_api() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("Failed to reach API"):  # all that Prefect gives to tell it by
            raise
        raise Unreachable(
            "the Prefect API that PREFECT_API_URL or the profile names does not answer",
            hint="Start it (`up`), or unset PREFECT_API_URL: the run then gets a server of its own.",
        ) from None
