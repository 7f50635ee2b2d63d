"""The verbs that only look: doctor, status, plan, lint, rehearse."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from wedsync_db.cli.answer import Answer
from wedsync_db.cli.terminal import Progress, say
from wedsync_db.errors import PlanError, UsageError
from wedsync_db.installation import Installation
from wedsync_db.model import Finding, Plan, Rehearsal, Severity


def doctor(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Is everything ready for a first deployment?"""
    from wedsync_db.cli.automations import blocks_found
    from wedsync_db.guard.doctor import doctor as examine
    from wedsync_db.migrate.promotion import ask_source
    from wedsync_db.report.findings import finding_json, finding_text

    environment = installation.environment(arguments.environment)
    with installation.target(environment.name) as address:
        asked = ask_source(installation, environment)
        findings = (
            *examine(address, environment, installation.home, promotion=asked, environ=installation.environ),
            *blocks_found(environment.notify, installation.environ.get("PREFECT_API_URL")),
        )
    bad = [f for f in findings if f.severity is Severity.ERROR]
    verdict = "not ready" if bad else "ready for a deployment"
    good = [f"ok: {f.message} [{f.rule}]" for f in findings if f.severity is Severity.NOTE]
    found = [finding_text(f) for f in findings if f.severity is not Severity.NOTE]
    text = "\n".join([*good, *found, f"{environment.name}: {verdict}"])
    return Answer(text, {"ready": not bad, "findings": [finding_json(f) for f in findings]}, 3 if bad else 0)


def status(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Applied, pending, wrong; is it safe now; who holds it; what a cancellation would do now."""
    from wedsync_db.migrate import status as looking
    from wedsync_db.report.status import status_text

    environment = installation.environment(arguments.environment)
    with installation.target(environment.name) as address:
        state = looking.status(address, environment, installation.home, clock=_now)
    data = {
        "environment": environment.name,
        "applied": state.plan.applied,
        "pending": [m.id for m in state.plan.pending],
        "findings": _findings(state.plan.findings),
        "guard": _findings(state.guard),
        "held_by": state.held_by,
        "deployment_by": state.deployment_by,
        "if_cancelled": state.if_cancelled,
    }
    return Answer(status_text(state, environment.name), data, _code(state.plan))


def plan(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """What a deployment would do."""
    from wedsync_db.migrate.deployment import read_plan
    from wedsync_db.report.status import plan_text

    environment = installation.environment(arguments.environment)
    with installation.target(environment.name) as address:
        found = read_plan(address, environment)
    data = {
        "environment": environment.name,
        "hash": found.hash,
        "pending": [{"id": m.id, "sha256": m.deploy.sha256, "requires": m.requires} for m in found.pending],
        "applied": found.applied,
        "findings": _findings(found.findings),
    }
    return Answer(plan_text(found, environment.name), data, _code(found))


def lint(arguments: argparse.Namespace, _installation: Installation) -> Answer:
    """Hazards in migration files."""
    from wedsync_db.report.findings import finding_text
    from wedsync_db.report.markdown import counted

    found = _plan_of(Path(arguments.folder))
    bad = sum(f.severity is Severity.ERROR for f in found.findings)
    lines = [finding_text(f) for f in found.findings]
    counts = [counted(len(found.pending), "migration"), counted(len(found.findings), "finding"), counted(bad, "error")]
    lines.append(", ".join(counts))
    return Answer("\n".join(lines), {"findings": _findings(found.findings)}, _code(found))


def rehearse(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Prove migrations on a scratch server: an environment's pending ones on its backup, or a folder from empty."""
    from wedsync_db.report.status import rehearsal_text

    if bool(arguments.environment) == bool(arguments.dir):
        hint = "`rehearse staging`, or `rehearse --dir migrations`"
        raise UsageError("rehearse takes an environment or --dir DIR", hint=hint)
    if arguments.dir:
        rehearsal = _rehearse_folder(Path(arguments.dir), arguments.major, installation)
    else:
        rehearsal = _rehearse_environment(arguments.environment, installation)
    if rehearsal is None:
        return Answer("nothing is pending, so there is nothing to rehearse", {"proofs": []})
    return Answer(rehearsal_text(rehearsal), rehearsal)


def _rehearse_folder(folder: Path, major: int, installation: Installation) -> Rehearsal | None:
    from wedsync_db.migrate.plan import require_sound
    from wedsync_db.migrate.prove import prove_folder

    found = _plan_of(folder)
    require_sound(found)
    if not found.pending:
        return None
    return prove_folder(found, major, installation.home.ensure().scratch, clock=_now, say=say)


def _rehearse_environment(name: str, installation: Installation) -> Rehearsal | None:
    from wedsync_db.cli.backups import back_up
    from wedsync_db.migrate.deployment import read_plan
    from wedsync_db.migrate.plan import require_sound
    from wedsync_db.migrate.prove import prove, require_data_copy

    environment = installation.environment(name)
    with installation.target(name) as address:
        found = read_plan(address, environment)
        require_sound(found)
        if not found.pending:
            return None
        require_data_copy(environment)  # before a backup is made for nothing
        with installation.readable(environment, back_up(address, environment, installation)) as backup:
            return prove(
                address,
                environment,
                found,
                backup,
                scratch_parent=installation.home.scratch,
                clock=_now,
                say=say,
                progress=Progress("rehearsal"),
            )


def _plan_of(folder: Path) -> Plan:
    from wedsync_db.migrate.files import read_migrations
    from wedsync_db.migrate.plan import make_plan

    migrations, findings = read_migrations(folder)
    return make_plan(migrations, findings, ())


def _findings(findings: tuple[Finding, ...]) -> list[object]:
    from wedsync_db.report.findings import finding_json

    return [finding_json(f) for f in findings]


def _code(found: Plan) -> int:
    return PlanError.exit_code if any(f.severity is Severity.ERROR for f in found.findings) else 0


def _now() -> datetime:
    return datetime.now(UTC)
