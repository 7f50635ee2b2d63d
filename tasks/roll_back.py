"""Undo a failed deployment and say what the target is like now."""

from __future__ import annotations

from prefect.client.schemas.objects import State
from prefect.states import Failed

from tasks.names import EnvironmentName
from tasks.report import report
from tasks.running import say, step
from wedsync_db.errors import Displaced, PersonNeeded, WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.migrate import roll_back as rolling_back
from wedsync_db.migrate.files import read_migrations
from wedsync_db.model import Opened, Outcome, Proof, RolledBack
from wedsync_db.report.outcome import outcome_line


@step(name="roll back", run_name="roll-back-{environment}")
def roll_back(environment: EnvironmentName, proof: Proof, opened: Opened, lock_pid: int) -> RolledBack:
    """Take the lowest rung of the ladder that applies: abort, clean up, or proven reverts that lose nothing.

    Raises:
        PersonNeeded: going back would lose something; says what.
    """
    installation = this_installation()
    settings = installation.environment(environment)
    migrations, _ = read_migrations(settings.migrations)
    with installation.target(environment) as address:
        return rolling_back.roll_back(
            address,
            opened.deployment,
            migrations,
            proof.rehearsal.proofs,
            locks=settings.locks,
            say=say,
            lock_pid=lock_pid,
            before=opened.before,
        )


def roll_back_and_report(
    environment: EnvironmentName, proof: Proof, opened: Opened, lock_pid: int, error: Exception
) -> State[object]:
    """End a failed deployment: rolled back, or stopped for a person. A displaced runner leaves it to the other one."""
    if isinstance(error, Displaced):
        raise error
    problem = error.message if isinstance(error, WedsyncError) else type(error).__name__
    say(f"failed: {problem}")
    try:
        undone = roll_back(environment, proof, opened, lock_pid)
    except PersonNeeded as needed:
        outcome = Outcome(environment, opened.deployment, proof, problem=problem, at_risk=needed.at_risk)
        report(environment, outcome)
        return Failed(name="PersonNeeded", message=outcome_line(outcome), data=needed)
    outcome = Outcome(environment, opened.deployment, proof, rolled_back=undone, problem=problem)
    report(environment, outcome)
    return Failed(name="RolledBack", message=outcome_line(outcome), data=error)
