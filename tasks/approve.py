"""Ask for an approval where the environment wants one."""

from __future__ import annotations

from tasks.names import EnvironmentName
from tasks.running import say, step
from wedsync_db.errors import Refused
from wedsync_db.installation import this_installation
from wedsync_db.model import Proof


@step(name="approve", run_name="approve-{environment}")
def require_approval(environment: EnvironmentName, proof: Proof, *, yes: bool) -> None:
    """Go on only with a person's yes, where the environment asks for one.

    Raises:
        Refused: nobody said yes.
    """
    if not this_installation().environment(environment).approval:
        return
    if not yes:
        raise Refused(
            f"{environment} asks for an approval of plan {proof.plan.hash[:12]}",
            hint="Read plan and rehearsal, then start the deployment again with --yes (or tick `yes` in the form).",
        )
    say(f"approved in advance: plan {proof.plan.hash[:12]}")
