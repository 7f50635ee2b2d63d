"""The nightly work: back up, then what needs it: freeze, vacuum, analyze, clean up; in a time budget."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from pydantic import Field

from tasks.each import Ended, environments_here
from tasks.maintenance import (
    all_maintained,
    back_up,
    held_for_maintenance,
    keep_up,
    not_done,
    plan_maintenance,
    tell,
    work_on_tables,
)
from tasks.names import EnvironmentName
from wedsync_db.maintain.night import Night

BudgetMinutes = Annotated[int, Field(ge=1, le=1440)]


def _run_name() -> str:
    return f"maintenance-{flow_run.parameters.get('environment') or 'all'}"


@flow(name="maintenance", flow_run_name=_run_name, retries=0, persist_result=False)
def maintenance(
    environment: EnvironmentName | None = None, budget_minutes: BudgetMinutes | None = None
) -> State[object]:
    """Back up and read the backup back, then do what the tables need, the most urgent first, as long as there is time.

    Nothing here keeps readers or writers waiting, and a deployment that is announced gets the target within two
    seconds. What was done is judged by the server's own counters.

    Args:
        environment: Only this one. Without it every environment whose address this machine knows, one after the other;
            the embedded servers are not started for it.
        budget_minutes: How long the night may take, the backup included, before nothing more is begun; the
            environment's own by default.
    """
    return all_maintained([_night(name, budget_minutes) for name in environments_here(environment)])


def _night(environment: EnvironmentName, budget_minutes: int | None) -> Ended:
    """One environment's night; that it cannot be does not keep others from theirs."""
    try:
        with held_for_maintenance(environment, budget_minutes) as turn:
            backup, problems = back_up(environment, turn)
            planned = plan_maintenance(environment, turn)
            done = work_on_tables(environment, turn, planned)
            night = Night(
                environment,
                turn.started_at,
                datetime.now(UTC),
                backup,
                done,
                planned.left,
                problems=(*problems, *planned.problems),
            )
            night = keep_up(environment, turn, night)
        return tell(environment, night)  # reading and telling keeps nobody from the target
    except Exception as error:  # noqa: BLE001 whatever it is, the other environments get their night
        return not_done(environment, error)
