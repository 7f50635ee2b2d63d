"""Deploy pending migrations: guard, plan, backup, rehearse, guard again, migrate, verify; roll back on any failure."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from tasks.approve import approved
from tasks.backup import take_backup
from tasks.guard import ask_guard
from tasks.migrate import close, migrate, open_deployment, verify
from tasks.names import EnvironmentName, Override
from tasks.plan import is_still_true, read_plan
from tasks.recover import recover, recover_afterwards
from tasks.rehearse import rehearse
from tasks.report import named_ends, nothing_to_do, report_success
from tasks.roll_back import roll_back_and_report
from tasks.turns import announced_deployment, held_target
from wedsync_db.errors import Refused
from wedsync_db.model import Proof

_TRIES = 3  # a plan or a catalog that keeps changing under us is somebody else's work in progress


def _run_name() -> str:
    return f"deploy-{flow_run.parameters['environment']}"


@flow(
    name="deploy",
    flow_run_name=_run_name,
    retries=0,
    persist_result=False,
    on_crashed=[recover_afterwards],
    on_cancellation=[recover_afterwards],
)
@named_ends
def deploy(environment: EnvironmentName, yes: bool = False, overrides: tuple[Override, ...] = ()) -> State[object]:
    """Bring an environment's database to the newest migration, or leave it as it was.

    A fresh backup is restored into a scratch server, which proves the backup; on copies of it every pending migration
    runs up, down and up again. Only then is the target touched. Any failure is rolled back.

    Args:
        environment: The target, as environments.toml names it.
        yes: Approve the plan in advance. Without it a deployment to an environment that asks for an approval pauses
            after the rehearsal: Resume shows plan, locks and reverts, and asks.
        overrides: Guard rules to override, each as RULE=REASON, for example freeze=agreed with the on-call engineer.
            They are recorded.
    """
    with announced_deployment(environment) as turn:
        for _ in range(_TRIES):
            recover(environment, again=True, overrides=overrides)
            ask_guard(environment, "start", overrides=overrides)
            plan = read_plan(environment)
            if not plan.pending:
                return nothing_to_do(environment, plan)
            backup = take_backup(environment)
            proof = Proof(plan, backup, rehearse(environment, plan, backup))
            proof = approved(environment, proof, turn, yes=yes)
            if is_still_true(environment, proof):
                return _carry_out(environment, proof, overrides)
        raise Refused(
            f"plan or catalog of {environment} changed {_TRIES} times between rehearsal and deployment",
            hint="Find out who else changes this database or these files, then deploy again.",
        )


def _carry_out(environment: EnvironmentName, proof: Proof, overrides: tuple[str, ...]) -> State[object]:
    """Touch the target: everything or nothing."""
    ask_guard(environment, "migrate", overrides=overrides, proof=proof)
    with held_target(environment) as lock:
        opened = open_deployment(environment, proof, overrides)
        try:
            applied = migrate(environment, proof, opened, lock.pid, overrides)
            after = verify(environment, proof, opened)
        except Exception as error:  # noqa: BLE001 whatever it is, the target must not stay half way
            return roll_back_and_report(environment, proof, opened, lock.pid, error)
        close(environment, opened, after)  # what is verified stays, even if the journal cannot be told: recover does
    return report_success(environment, proof, opened, applied)
