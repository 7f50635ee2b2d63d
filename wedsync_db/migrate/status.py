"""The state of a target, for an operator who has to decide."""

from __future__ import annotations

from dataclasses import dataclass

from wedsync_db.migrate.deployment import read_plan
from wedsync_db.migrate.recover import what_if_cancelled
from wedsync_db.model import Plan
from wedsync_db.postgres.locks import announced, holder
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment


@dataclass(frozen=True, slots=True)
class Status:
    """Who holds the target's lock, who announced a deployment, and what would happen if that were cancelled now."""

    plan: Plan
    held_by: str | None
    deployment_by: str | None
    if_cancelled: str


def status(address: Address, environment: Environment) -> Status:
    """Look at files, ledger, journal and locks. Changes nothing."""
    plan = read_plan(address, environment)
    with session(address, "status") as connection:
        held, deploying = holder(connection), announced(connection)
        return Status(
            plan,
            str(held) if held else None,
            str(deploying) if deploying else None,
            what_if_cancelled(connection),
        )
