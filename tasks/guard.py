"""Ask the guard whether now is a good time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tasks.names import EnvironmentName
from tasks.running import say, step
from wedsync_db.backup.keys import newest_key
from wedsync_db.guard.checks import check_guard
from wedsync_db.guard.decide import GuardReport, require_open
from wedsync_db.guard.impact import work_planned
from wedsync_db.installation import this_installation
from wedsync_db.migrate.deployment import plan_ahead, work_left
from wedsync_db.migrate.promotion import promotion_of
from wedsync_db.model import Proof, Severity


@step(name="guard", run_name="guard-{stage}-{environment}", retries=2)
def ask_guard(
    environment: EnvironmentName,
    stage: str = "start",
    *,
    overrides: Sequence[str] = (),
    proof: Proof | None = None,
) -> GuardReport:
    """Check everything that speaks against a deployment now: with `proof`, against what is left of it.

    Raises:
        Refused: with the reason and what would clear it.
    """
    installation = this_installation()
    settings = installation.environment(environment)
    newest_key(settings, installation.environ)  # no backup without it, and nothing without a backup
    with installation.target(environment, create=True) as address:
        plan = proof.plan if proof else plan_ahead(address, settings)
        report = check_guard(
            address,
            settings,
            stage=stage,
            clock=lambda: datetime.now(UTC),
            home=installation.home,
            work=work_left(address, settings, plan, proof.rehearsal) if proof else work_planned(plan),
            promotion=promotion_of(installation, settings, plan) if stage != "between" else None,
            overrides=overrides,
        )
    for finding in report.findings:
        if stage != "start" and finding.severity is Severity.NOTE:
            continue  # said already, and it will be asked again between any two transactions
        say(f"guard: {finding.message}")
    require_open(report)
    return report
