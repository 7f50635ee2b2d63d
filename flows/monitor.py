"""Every minute: is each database well, and who has to know?"""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from tasks.each import environments_here
from tasks.monitor import all_seen, monitored
from tasks.names import EnvironmentName


def _run_name() -> str:
    return f"monitor-{flow_run.parameters.get('environment') or 'all'}"


@flow(name="monitor", flow_run_name=_run_name, retries=0, persist_result=False)
def monitor(environment: EnvironmentName | None = None) -> State[object]:
    """Measure each database, judge its health, tell of alerts that begin or end, and keep what was measured.

    The run is named for what it found: Healthy, Degraded, Unhealthy or Unknown. It reads only.

    Args:
        environment: Only this one. Without it every environment whose address this machine knows; the embedded servers
            are not started for it.
    """
    return all_seen([monitored(name) for name in environments_here(environment)])
