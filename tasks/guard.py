"""Ask the guard whether now is a good time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tasks.names import EnvironmentName
from tasks.running import say, step
from wedsync_db.guard.checks import check_guard
from wedsync_db.guard.decide import GuardReport, require_open
from wedsync_db.installation import this_installation


@step(name="guard", run_name="guard-{stage}-{environment}", retries=2)
def ask_guard(
    environment: EnvironmentName,
    stage: str = "start",
    *,
    overrides: Sequence[str] = (),
    predicted_seconds: float = 0.0,
) -> GuardReport:
    """Check everything that speaks against a deployment now.

    Raises:
        Refused: with the reason and what would clear it.
    """
    installation = this_installation()
    with installation.target(environment, create=True) as address:
        report = check_guard(
            address,
            installation.environment(environment),
            stage=stage,
            clock=lambda: datetime.now(UTC),
            home=installation.home,
            predicted_seconds=predicted_seconds,
            overrides=overrides,
        )
    for finding in report.findings:
        say(f"guard: {finding.message}")
    require_open(report)
    return report
