"""The steps that touch the target, each once and never retried: what they commit is in the journal, not in Prefect."""

from __future__ import annotations

from tasks.guard import ask_guard
from tasks.names import EnvironmentName
from tasks.record import begun
from tasks.running import say, step
from wedsync_db.guard.decide import parse_overrides
from wedsync_db.installation import this_installation
from wedsync_db.migrate import deployment
from wedsync_db.model import Applied, Fingerprint, Opened, Proof


@step(name="open deployment", run_name="open-{environment}")
def open_deployment(environment: EnvironmentName, proof: Proof, overrides: tuple[str, ...] = ()) -> Opened:
    """Begin the deployment in the target's journal; guards that were overridden are kept there with their reasons.

    Raises:
        Refused: the target is not any more what was rehearsed.
    """
    installation = this_installation()
    with installation.target(environment) as address:
        opened = deployment.open_deployment(
            address,
            installation.environment(environment),
            proof.plan,
            proof.rehearsal,
            proof.backup,
            proof.approval,
            parse_overrides(overrides),
        )
    begun(environment, opened, proof.plan)
    return opened


@step(name="migrate", run_name="migrate-{environment}")
def migrate(
    environment: EnvironmentName, proof: Proof, opened: Opened, lock_pid: int, overrides: tuple[str, ...] = ()
) -> Applied:
    """Run the pending migrations, verify scripts inside their transactions; the guard is asked between transactions.

    Raises:
        MigrationFailed: with file, line and SQLSTATE.
        Displaced: another runner took over.
    """
    installation = this_installation()
    settings = installation.environment(environment)
    with installation.target(environment) as address:
        applied = deployment.migrate(
            address,
            settings,
            proof.plan,
            proof.rehearsal,
            opened.deployment,
            lock_pid,
            between=lambda: _ask_again(environment, proof, overrides),
            say=say,
        )
    say(f"migrate: {len(applied.migrations)} applied in {applied.seconds:.2f} s")
    return applied


@step(name="verify", run_name="verify-{environment}")
def verify(environment: EnvironmentName, proof: Proof, opened: Opened) -> Fingerprint:
    """Compare the target's change with the rehearsed one, object by object.

    Raises:
        VerifyFailed: they differ.
    """
    with this_installation().target(environment) as address:
        after = deployment.verify(address, opened, proof.rehearsal)
    say(f"verify: the catalog changed exactly as rehearsed ({len(proof.rehearsal.expected.objects)} objects)")
    return after


@step(name="close deployment", run_name="close-{environment}")
def close(environment: EnvironmentName, opened: Opened, after: Fingerprint) -> None:
    """Mark the deployment as done in the target's journal."""
    with this_installation().target(environment) as address:
        deployment.close_deployment(address, opened.deployment, after)


def _ask_again(environment: EnvironmentName, proof: Proof, overrides: tuple[str, ...]) -> None:
    ask_guard.fn(environment, "between", overrides=overrides, proof=proof)
