"""Try the restore: the newest backup into a scratch server, all of it compared with its manifest."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from tasks.drill import all_drilled, drillable, try_restore
from tasks.names import EnvironmentName


def _run_name() -> str:
    return f"restore_drill-{flow_run.parameters.get('environment') or 'all'}"


@flow(name="restore_drill", flow_run_name=_run_name, retries=0, persist_result=False)
def restore_drill(environment: EnvironmentName | None = None, backup: str = "newest") -> State[object]:
    """Restore a backup into a scratch server, compare everything its manifest says, and measure how long that takes.

    The target is not touched. A server that cannot hold the database ends as Inconclusive: that is neither passed nor
    failed.

    Args:
        environment: Only this one. Without it every environment whose address this machine knows and whose data may be
            copied to it.
        backup: A backup's name, as `backups` lists them; the newest by default.
    """
    return all_drilled([try_restore(name, backup) for name in drillable(environment)])
