"""The runs that `up` serves, asked from and told to its Prefect server over HTTP: this package never imports Prefect.

A worker that ends leaves its runs where they are: no hook runs, and Prefect shows them as running for ever. So `up`
cancels them before it stops, and settles those that an `up` which was killed left behind.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from wedsync_db.cli.changing import recover
from wedsync_db.cli.prefect_api import PASSWORD, PASSWORD_OF_SERVER, ask
from wedsync_db.cli.terminal import say
from wedsync_db.errors import TargetHeld, UsageError, WedsyncError
from wedsync_db.installation import Installation
from wedsync_db.postgres.locks import announce
from wedsync_db.redact import redact, register_secret
from wedsync_db.report.errors import error_text

_UNDER_WAY = ("PENDING", "RUNNING", "PAUSED", "CANCELLING")
_CANCEL_SECONDS = 60.0  # Prefect kills a run 30 s after it was told to end, and then its hook undoes what is left
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Run:
    """A flow run under way; `environment` is its parameter of that name."""

    id: str
    name: str
    environment: str | None


def let_in(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that let every program `up` starts in, where its server asks for a password.

    Raises:
        UsageError: the programs would be given another password than the server wants.
    """
    wanted, given = environ.get(PASSWORD_OF_SERVER), environ.get(PASSWORD)
    for secret in (wanted, given):
        register_secret((secret or "").partition(":")[2])  # user:password
    if wanted and given and wanted != given:
        raise UsageError(
            f"{PASSWORD} and {PASSWORD_OF_SERVER} are not the same",
            hint=f"Set {PASSWORD_OF_SERVER} alone: what `up` starts is let in with it.",
        )
    return {PASSWORD: wanted} if wanted else {}


def under_way(api: str, pool: str) -> tuple[Run, ...]:
    """The runs of a work pool that have begun and not ended.

    Raises:
        OSError: the server does not answer.
    """
    wanted = {"flow_runs": {"state": {"type": {"any_": _UNDER_WAY}}}, "work_pools": {"name": {"any_": [pool]}}}
    found = ask(f"{api}/flow_runs/filter", wanted)
    return tuple(Run(r["id"], r["name"], r["parameters"].get("environment")) for r in found)


def settle(api: str, pool: str, installation: Installation) -> None:
    """Undo or finish what runs of a killed `up` left, and mark them as crashed; one that still works is left alone."""
    with _best_effort():
        for run in under_way(api, pool):
            _settle(api, run, installation)


def _settle(api: str, run: Run, installation: Installation) -> None:
    say(f"{run.name} was interrupted together with an earlier `up`")
    try:
        message = _recovered(run, installation)
    except TargetHeld as error:
        say(f"it is left alone: {error.message}")
        return
    except WedsyncError as error:
        say(error_text(error))
        message = error.message
    _tell(api, run, "CRASHED", f"Its worker had ended. {message}")


def cancel(api: str, pool: str) -> None:
    """Cancel what is under way and wait until it is undone; a second interrupt ends the waiting."""
    with _best_effort():
        runs = under_way(api, pool)
        if not runs:
            return
        names = ", ".join(run.name for run in runs)
        say(f"cancelling {names}: what was begun is undone first. Ctrl-C again does not wait for that.")
        for run in runs:
            _tell(api, run, "CANCELLING", "`up` was stopped")
        for run in _wait(api, pool):
            say(f"{run.name} has not ended: `recover {run.environment}` finishes or undoes what it left")


@contextmanager
def _best_effort() -> Iterator[None]:
    """The truth about a deployment is in its target: a server that does not answer stops neither start nor end."""
    try:
        yield
    except OSError as error:
        say(f"the Prefect server could not be asked about its runs: {type(error).__name__}")


def _wait(api: str, pool: str) -> tuple[Run, ...]:
    """Wait for the end of all runs; those that are left when time or patience runs out."""
    deadline = time.monotonic() + _CANCEL_SECONDS
    left = under_way(api, pool)
    try:
        while left and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            left = under_way(api, pool)
    except KeyboardInterrupt:
        say("not waiting")
    return left


def _recovered(run: Run, installation: Installation) -> str:
    """Recover the run's environment as its only deployment, so that one that is alive is noticed."""
    if run.environment is None:
        return ""
    with installation.target(run.environment) as address, announce(address):
        text = recover(argparse.Namespace(environment=run.environment), installation).text
    say(text)
    return text


def _tell(api: str, run: Run, state: str, message: str) -> None:
    ask(f"{api}/flow_runs/{run.id}/set_state", {"state": {"type": state, "message": redact(message)}, "force": True})
