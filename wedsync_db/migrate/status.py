"""The state of a target, for an operator who has to decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from wedsync_db.guard.checks import TIMELY, ask
from wedsync_db.guard.decide import decide, policies
from wedsync_db.guard.impact import work_planned
from wedsync_db.guard.questions import Context
from wedsync_db.home import Home
from wedsync_db.migrate.deployment import read_plan
from wedsync_db.migrate.foretell import what_if_cancelled
from wedsync_db.model import Finding, Plan
from wedsync_db.postgres.locks import announced, holder
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment


@dataclass(frozen=True, slots=True)
class Status:
    """What is applied and pending, what the guard finds now, who is at work, what would come of cancelling that."""

    plan: Plan
    guard: tuple[Finding, ...]  # weighed by the environment's policies: an error would refuse
    held_by: str | None
    deployment_by: str | None
    if_cancelled: str


def status(address: Address, environment: Environment, home: Home, *, clock: Callable[[], datetime]) -> Status:
    """Look at files, ledger, journal and locks, and ask the guard what may change by the hour. Changes nothing."""
    plan = read_plan(address, environment)
    with session(address, "status") as connection:
        found = ask(connection, Context(environment, home.path, clock, work_planned(plan)), TIMELY)
        held, deploying = holder(connection), announced(connection)
        return Status(
            plan,
            decide(found, policies(environment.guard)).findings,
            str(held) if held else None,
            str(deploying) if deploying else None,
            what_if_cancelled(connection, plan.pending),
        )
