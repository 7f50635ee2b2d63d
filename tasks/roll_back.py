"""Undo a failed deployment and say what the target is like now."""

from __future__ import annotations

from prefect.client.schemas.objects import State
from prefect.states import Failed

from tasks.names import EnvironmentName
from tasks.record import stuck as note_stuck
from tasks.recover import recover
from tasks.report import report
from tasks.running import say, step
from wedsync_db.errors import Displaced, Inconclusive, PersonNeeded, WedsyncError
from wedsync_db.installation import this_installation
from wedsync_db.migrate import roll_back as rolling_back
from wedsync_db.model import DeploymentStatus, Opened, Outcome, Proof, RolledBack
from wedsync_db.report.errors import unexpected
from wedsync_db.report.outcome import outcome_line


@step(name="roll back", run_name="roll-back-{environment}")
def roll_back(environment: EnvironmentName, proof: Proof, opened: Opened, lock_pid: int, reason: str) -> RolledBack:
    """Take the lowest rung of the ladder that applies: abort, clean up, or proven reverts that lose nothing.

    Raises:
        PersonNeeded: going back would lose something; says what.
    """
    installation = this_installation()
    with installation.target(environment) as address:
        return rolling_back.roll_back(
            address,
            opened.deployment,
            proof.plan.pending,  # as rehearsed, whatever became of the files since
            proof.rehearsal.proofs,
            locks=installation.environment(environment).locks,
            say=say,
            lock_pid=lock_pid,
            before=opened.before,
            reason=reason,
        )


def roll_back_and_report(
    environment: EnvironmentName, proof: Proof, opened: Opened, lock_pid: int, error: Exception
) -> State[object]:
    """End a failed deployment: rolled back, stopped for a person, or, where nobody knows, left to recover."""
    problem = (error if isinstance(error, WedsyncError) else unexpected(error)).message
    say(f"failed: {problem}")
    if isinstance(error, Displaced):
        return _without_our_lock(environment, problem, error)
    try:
        undone = roll_back(environment, proof, opened, lock_pid, problem)
    except Displaced as gone:  # what ended the deployment's session ended that of its lock, too
        return _without_our_lock(environment, problem, gone)
    except PersonNeeded as needed:
        outcome = Outcome(environment, opened.deployment, proof, problem=problem, at_risk=needed.at_risk)
        report(environment, outcome)
        return Failed(name="PersonNeeded", message=outcome_line(outcome), data=needed)
    except WedsyncError as stuck:
        note_stuck(environment, opened.deployment)
        return _half_way(environment, problem, stuck)
    outcome = Outcome(environment, opened.deployment, proof, rolled_back=undone, problem=problem)
    report(environment, outcome)
    known = _known_now(outcome, undone, error)
    name = "PersonNeeded" if isinstance(known, PersonNeeded) else "RolledBack"
    return Failed(name=name, message=outcome_line(outcome), data=known)


def _known_now(outcome: Outcome, undone: RolledBack, error: Exception) -> Exception:
    """The error a rolled back deployment ends with: only a catalog that is as before may be called so."""
    if not undone.fingerprints_equal:
        hint = "Somebody else changed this schema meanwhile: find out who, then deploy again."
        return PersonNeeded(outcome_line(outcome), hint=hint, at_risk=(undone.message,))
    # what was not known is known now: everything is as before
    return WedsyncError(outcome_line(outcome)) if isinstance(error, Inconclusive) else error


def _half_way(environment: EnvironmentName, problem: str, stuck: WedsyncError) -> State[object]:
    """Rolling back did not come to an end; the deployment is still open in the journal."""
    unknown = Inconclusive(
        f"{problem}; and it could not be rolled back: {stuck.message}",
        hint=f"Run `recover {environment}`: it goes on where this stopped. `status` says what is applied.",
        sqlstate=stuck.sqlstate,
    )
    return Failed(name="RollbackFailed", message=unknown.message, data=unknown)


def _without_our_lock(environment: EnvironmentName, problem: str, error: Displaced) -> State[object]:
    """Whoever took over sees to the rest; if nobody did, recover does now, under a lock of its own."""
    try:
        ended = recover(environment)
    except PersonNeeded:
        raise
    except WedsyncError as other:  # TargetHeld: somebody is at it
        say(f"left as it is: {other.message}")
        raise error from None
    if not ended or any(one.ended is not DeploymentStatus.ROLLED_BACK for one in ended):
        raise error
    message = f"{problem}; {'; '.join(one.message for one in ended)}"
    return Failed(name="RolledBack", message=message, data=WedsyncError(message))
