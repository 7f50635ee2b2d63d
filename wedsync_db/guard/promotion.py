"""Whether a plan was tried elsewhere before: each migration deployed, and verified, where it comes first. Pure.

What counts is the very text: id and SHA-256 of deploy.sql. What the other environment's ledger and journal do not say
is not known, and what is not known does not pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wedsync_db.model import DeploymentStatus, Finding, Migration, Severity

_SHOWN = 3  # problems in one line


@dataclass(frozen=True, slots=True)
class Trial:
    """A migration in the other ledger; `status` is that of its deployment there, None where it came with a copy."""

    sha256: str
    status: DeploymentStatus | None


@dataclass(frozen=True, slots=True)
class LoadTrial:
    """The newest load test of a scenario: with which migrations, by id and SHA-256, and how it ended; "" for none yet.

    `unknown` is why that could not be found out.
    """

    scenario: str
    verdict: str = ""
    migrations: frozenset[tuple[str, str]] = frozenset()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Promotion:
    """What is to be deployed, and what the environment it has to be promoted from says of that.

    `unknown` is why it could not say anything, `hint` what would let it. `load` is its load test, if one is asked for.
    """

    source: str
    pending: Sequence[Migration] = ()
    trials: Mapping[str, Trial] = field(default_factory=dict)
    unknown: str = ""
    hint: str = ""
    load: LoadTrial | None = None


def judge(promotion: Promotion) -> Iterator[Finding]:
    """One error, if a migration was not deployed and verified there as it is now, or if nobody knows."""
    source = promotion.source
    if promotion.unknown:
        text = f"it is not known what was deployed to {source}: {promotion.unknown}"
        yield Finding("promotion", Severity.ERROR, text, promotion.hint or f"Make {source} reachable from here")
        return
    problems = [said for m in promotion.pending if (said := _problem(m, promotion.trials.get(m.id), source))]
    if problems:
        count = f"{len(problems)} of {len(promotion.pending)} pending migrations"
        text = f"{count} cannot be promoted from {source}: {_listed(problems)}"
        yield Finding("promotion", Severity.ERROR, text, f"Deploy exactly these files to {source} first")


def judge_load(promotion: Promotion) -> Iterator[Finding]:
    """One error, if the newest load test did not pass with all of these migrations, or if nobody knows."""
    trial, source = promotion.load, promotion.source
    if not promotion.pending:
        return
    if trial is None:
        yield Finding("load-test", Severity.ERROR, f"it is not known whether {source} passed a load test: nobody asked")
        return
    lacking = [m.id for m in promotion.pending if (m.id, m.deploy.sha256) not in trial.migrations]
    what = f"the load test {trial.scenario} of {source}"
    if trial.unknown:
        said = f"it is not known whether {what} passed: {trial.unknown}"
    elif not trial.verdict:
        said = f"there was no load test {trial.scenario} of {source}"
    elif trial.verdict != "PASS":
        said = f"{what} did not pass, it ended as {trial.verdict}"
    elif lacking:
        said = f"{what} passed without {_listed(lacking)} as it is now"
    else:
        return
    yield Finding("load-test", Severity.ERROR, said, f"wedsync-db load-test {source} {trial.scenario}")


def _listed(problems: Sequence[str]) -> str:
    more = len(problems) - _SHOWN
    return "; ".join(problems[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _problem(migration: Migration, trial: Trial | None, source: str) -> str:
    """Why this migration may not come yet; empty where nothing is wrong."""
    if trial is None:
        return f"{migration.id} is not applied on {source}"
    if trial.sha256 != migration.deploy.sha256:
        return f"{migration.id} is another text than the one applied on {source}"
    if trial.status is None:
        return f"{migration.id} was not deployed to {source}, it came there with a copy"
    if trial.status is not DeploymentStatus.DONE:
        return f"{migration.id} was not verified on {source}, its deployment there is {trial.status.replace('_', ' ')}"
    return ""
