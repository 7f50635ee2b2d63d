"""Read what is pending, and look again whether it still holds."""

from __future__ import annotations

from tasks.names import EnvironmentName
from tasks.notify import notify
from tasks.publishing import publish
from tasks.running import say, step
from wedsync_db.installation import this_installation
from wedsync_db.migrate import deployment
from wedsync_db.migrate.plan import require_sound
from wedsync_db.migrate.prove import require_data_copy
from wedsync_db.model import Event, Plan, Proof
from wedsync_db.report.markdown import plan_markdown
from wedsync_db.report.notice import started_text


@step(name="plan", run_name="plan-{environment}", retries=2)
def read_plan(environment: EnvironmentName) -> Plan:
    """Read files and ledger; parse, check and lint every pending migration. Writes nothing.

    Raises:
        PlanError: the migrations on disk may not be deployed.
        Refused: nothing could be rehearsed, as the environment does not allow its data to be copied here.
    """
    installation = this_installation()
    with installation.target(environment) as address:
        plan = deployment.read_plan(address, installation.environment(environment))
    publish(f"plan-{environment}", plan_markdown(plan, environment), "What this deployment does")
    require_sound(plan)
    if plan.pending:
        require_data_copy(installation.environment(environment))
    say(f"plan: {len(plan.pending)} pending, {len(plan.applied)} applied")
    for migration in plan.pending:
        say(f"  {migration.id}")
    if plan.pending:
        notify(environment, Event.STARTED, started_text(plan))
    return plan


@step(name="confirm", run_name="confirm-{environment}", retries=2)
def is_still_true(environment: EnvironmentName, proof: Proof) -> bool:
    """Whether plan and catalog are still those that were rehearsed; if not, the proof is worth nothing."""
    installation = this_installation()
    with installation.target(environment) as address:
        unchanged = deployment.is_unchanged(
            address, installation.environment(environment), proof.plan, proof.backup.manifest.fingerprint
        )
    if not unchanged:
        say("plan or catalog changed since the backup: starting over")
    return unchanged
