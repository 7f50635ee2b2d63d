"""Find deployments that were interrupted where nobody was left to end them, and undo what loses nothing."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from tasks.each import environments_here
from tasks.names import EnvironmentName
from tasks.reconcile import all_settled, look_after


def _run_name() -> str:
    return f"reconcile-{flow_run.parameters.get('environment') or 'all'}"


@flow(name="reconcile", flow_run_name=_run_name, retries=0, persist_result=False)
def reconcile(environment: EnvironmentName | None = None) -> State[object]:
    """Finish or undo what an interrupted deployment left; where a deployment is at work, leave it alone.

    Hooks and the next deployment do the same. This flow is for what they cannot see: a worker that was stopped in the
    middle of a run, or a machine that is gone.

    Args:
        environment: Only this one. Without it every environment whose address this machine knows; the embedded servers
            are not started for it.
    """
    return all_settled([look_after(name) for name in environments_here(environment)])
