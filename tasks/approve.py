"""Ask for an approval where the environment wants one: in a form of Prefect's, or on the terminal.

An approval is for one plan on one catalog. Both are looked at again after it was given, and a change of either starts
over: rehearsed again, and asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from prefect import pause_flow_run
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import FlowPauseTimeout
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Running
from pydantic import Field, ValidationError

from tasks.names import EnvironmentName
from tasks.notify import notify
from tasks.publishing import fitted, run_page
from tasks.running import say, step
from tasks.turns import Turn
from wedsync_db.cli import terminal
from wedsync_db.errors import Refused
from wedsync_db.installation import this_installation
from wedsync_db.migrate.deployment import runner_name
from wedsync_db.model import Approval, Event, Known, Proof
from wedsync_db.redact import redact
from wedsync_db.report.approval import approval_line, approval_markdown, approval_text
from wedsync_db.report.markdown import counted

_MINUTE_SECONDS = 60
_POLL_SECONDS = 2
_NOTHING = "Nothing was touched."


class Decision(RunInput):
    """What the form asks for; what does not fit is turned away by the server, and the run goes on waiting."""

    # no list to choose from: in this dialog of Prefect's it opens by the keyboard only
    approve: str = Field(
        pattern=r"^\s*([Yy]es|[Nn]o)\s*$",
        description="Type yes to deploy this plan now, or no to end the run; nothing was touched.",
        json_schema_extra={"position": 0},
    )
    name: str = Field(
        min_length=1,
        max_length=100,
        pattern=r"\S",
        description="Who decides. It is kept with the deployment.",
        json_schema_extra={"position": 1},
    )
    reason: str = Field(
        min_length=1,
        max_length=500,
        pattern=r"\S",
        description="Why, for whoever reads this later.",
        json_schema_extra={"position": 2},
    )


def approved(environment: EnvironmentName, proof: Proof, turn: Turn, *, yes: bool) -> Proof:
    """The proof with a person's yes on it, where the environment asks for one; as it is where not.

    A person may take an hour. Meanwhile nothing of the target is held, neither a lock nor a session, so whoever goes
    on from here has to look first whether the proof is still true.

    Raises:
        Refused: a no, no answer in time, or nobody there to ask.
        TargetHeld: when the yes came, another deployment was under way.
    """
    if not this_installation().environment(environment).approval:
        return proof
    if yes:
        return replace(proof, approval=approve(environment, proof, yes=True))
    with turn.given_up():
        approval = approve(environment, proof)
    return replace(proof, approval=approval)


@step(name="approve", run_name="approve-{environment}")
def approve(environment: EnvironmentName, proof: Proof, *, yes: bool = False) -> Approval:
    """Ask a person who is there: by a form where the run's server can be reached, or on the terminal.

    Raises:
        Refused: a no, no answer in time, or nobody there to ask.
    """
    minutes = this_installation().environment(environment).approval_timeout_minutes
    if yes:
        approval = Approval(_starter(), Known.IN_ADVANCE)
    elif PREFECT_API_URL.value():
        approval = _asked_by_form(environment, proof, minutes)
    elif terminal.can_ask():  # the run's server is a temporary one, on a port that nobody knows
        approval = _asked_on_terminal(environment, proof, minutes)
    else:
        raise Refused(
            f"{environment} asks for an approval of {_plan(proof)}, and nobody is there to ask",
            hint="Read plan and rehearsal, then deploy with --yes; or deploy on a terminal, or on a Prefect server.",
        )
    say(f"{approval_line(approval)} ({_plan(proof)})")
    return approval


def _asked_by_form(environment: str, proof: Proof, minutes: int) -> Approval:
    until = datetime.now(UTC) + timedelta(seconds=minutes * _MINUTE_SECONDS)
    page = fitted(approval_markdown(proof, environment, until))
    waits = f"waits for an approval until {until:%H:%M} UTC"
    say(f"{waits}: {run_page(flow_run.id)}")
    notify(environment, Event.PERSON_NEEDED, f"{_plan(proof)} {waits}")
    try:
        decision = pause_flow_run(
            wait_for_input=Decision.with_initial_data(description=page),
            timeout=minutes * _MINUTE_SECONDS,
            poll_interval=_POLL_SECONDS,
        )
    except FlowPauseTimeout:
        if _take_run_back():
            raise _expired(environment, proof, minutes) from None
        raise Refused(f"the run was cancelled while {environment} waited for an approval", hint=_NOTHING) from None
    except ValidationError:  # somebody set the run's state instead of filling in the form
        raise Refused(
            f"the run was resumed without an answer about {_plan(proof)} of {environment}",
            hint="Nothing was touched. Deploy again, and answer the form that `Resume` shows.",
        ) from None
    return decided(environment, proof, decision, _run_as_it_is())


def decided(environment: str, proof: Proof, decision: Decision, run: Mapping[str, Any]) -> Approval:
    """What an answer comes to; `run` is the API's own description of the resumed run.

    Raises:
        Refused: it was a no.
    """
    signed_in = _signed_in(run)
    by, reason = (redact(" ".join(text.split())) for text in (signed_in or decision.name, decision.reason))
    if decision.approve.strip().lower() != "yes":
        raise Refused(
            f"{by} said no to {_plan(proof)} of {environment}: {reason}",
            hint="Nothing was touched. Deploy again when the reason is gone.",
        )
    return Approval(by, Known.SIGNED_IN if signed_in else Known.TYPED, reason)


def _signed_in(run: Mapping[str, Any]) -> str | None:
    """The user who resumed the run, where the API knows its users; Prefect's own open source server knows none.

    Of the state and not of the run, which is by whoever started it.
    """
    who = (run.get("state") or {}).get("created_by") or {}
    return (who.get("display_value") or None) if who.get("type") == "USER" else None


def _asked_on_terminal(environment: str, proof: Proof, minutes: int) -> Approval:
    terminal.say(approval_text(proof, environment))
    prompt = f"To deploy this, type the environment's name ({environment}): "
    answer = terminal.ask(prompt, minutes * _MINUTE_SECONDS)
    if answer is None:
        raise _expired(environment, proof, minutes)
    if answer != environment:
        raise Refused(f"{_plan(proof)} was not approved: what was typed is not {environment}", hint=_NOTHING)
    return Approval(runner_name(), Known.TERMINAL)


def _starter() -> str:
    """Who started the run: by the API where it knows, by this process's login where it was started here."""
    started = _run()
    if started is not None and started.created_by is not None and started.created_by.display_value:
        return started.created_by.display_value
    from_afar = started is not None and started.deployment_id is not None
    return "somebody who may start runs" if from_afar else runner_name()


def _run() -> FlowRun | None:
    if flow_run.id is None:
        return None
    with get_client(sync_client=True) as client:
        return client.read_flow_run(flow_run.id)


def _run_as_it_is() -> Mapping[str, Any]:
    """The run with what Prefect's own classes leave out; empty where it cannot be asked."""
    with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
        found: Mapping[str, Any] = client.request("GET", "/flow_runs/{id}", path_params={"id": flow_run.id}).json()
        return found
    return {}


def _take_run_back() -> bool:
    """Let the run end under our own name: a pause that ran out Prefect would end as a failure without one.

    Only from a pause, or from what the server makes of a late answer. False where it is neither: it was cancelled.
    """
    run = _run()
    if run is None or run.state is None or run.state.type not in (StateType.PAUSED, StateType.FAILED):
        return False
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Running(), force=True)
    return True


def _expired(environment: str, proof: Proof, minutes: int) -> Refused:
    return Refused(
        f"nobody approved {_plan(proof)} of {environment} within {counted(minutes, 'minute')}",
        hint="Nothing was touched. Deploy again and answer; approval_timeout_minutes says how long is waited.",
    )


def _plan(proof: Proof) -> str:
    return f"plan {proof.plan.hash[:12]}"
