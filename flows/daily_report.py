"""Each morning: how is each database, what changed since yesterday, and what needs somebody?"""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from pydantic import Field

from tasks.daily import daily
from tasks.each import all_ended, environments_here
from tasks.names import EnvironmentName

Days = Annotated[int, Field(ge=1, le=90)]


def _run_name() -> str:
    return f"daily_report-{flow_run.parameters.get('environment') or 'all'}"


@flow(name="daily_report", flow_run_name=_run_name, retries=0, persist_result=False)
def daily_report(environment: EnvironmentName | None = None, days: Days = 7) -> State[object]:
    """Draw what the history store knows of each environment, and say first what needs somebody.

    The page is one file below the installation's `reports` folder and is kept for two months; the artifacts have its
    top, and a link to it. Reads only.

    Args:
        environment: Only this one. Without it every environment whose address this machine knows.
        days: How many days the pictures show.
    """
    return all_ended([daily(name, days) for name in environments_here(environment)])
