"""The steps of a night, and how it is told."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from prefect.client.schemas.objects import State

from tasks.each import Ended, all_ended, told
from tasks.names import EnvironmentName
from tasks.publishing import Progress, publish
from tasks.running import say, step
from wedsync_db.backup.nightly import nightly_backup
from wedsync_db.errors import Refused, TargetHeld, WedsyncError
from wedsync_db.history.maintenance import memory
from wedsync_db.installation import this_installation
from wedsync_db.maintain.candidates import Needs
from wedsync_db.maintain.findings import compared, find
from wedsync_db.maintain.giving_way import watching
from wedsync_db.maintain.night import Night
from wedsync_db.maintain.plan import LeftAlone, Work
from wedsync_db.maintain.run import ask_needs, finish_requests, is_replica, look_after
from wedsync_db.maintain.work import Done, work_through
from wedsync_db.postgres.locks import target_lock
from wedsync_db.report.errors import unexpected
from wedsync_db.report.maintenance import maintenance_line, maintenance_markdown


@dataclass(frozen=True, slots=True)
class Turn:
    """Our time with a target: the backend that holds it for us, when it began and when it ends."""

    environment: EnvironmentName
    lock_pid: int
    started_at: datetime
    began: float  # monotonic seconds
    budget_seconds: float

    @property
    def left_seconds(self) -> float:
        """What is left of the budget."""
        return max(0.0, self.budget_seconds - (time.monotonic() - self.began))


@dataclass(frozen=True, slots=True)
class Planned:
    """What the night will do, what it leaves alone, and what could not be read for it."""

    needs: Needs
    work: tuple[Work, ...]
    left: tuple[LeftAlone, ...]
    problems: tuple[str, ...]


@contextmanager
def held_for_maintenance(environment: EnvironmentName, budget_minutes: int | None) -> Iterator[Turn]:
    """Hold the target for a night: no deployment, backup or load test besides ours.

    Raises:
        TargetHeld: somebody has it, and did not let go in the time the environment allows.
        Refused: the server is a replica: what is done to its primary comes to it by itself.
    """
    installation = this_installation()
    settings = installation.environment(environment)
    wait = settings.guard.wait_for_holder_seconds
    with installation.target(environment) as address:
        if is_replica(address):
            raise Refused(f"{environment} is a replica", hint="Name the primary in environments.toml.")
        with (
            target_lock(address, "maintenance", wait_seconds=wait, say=say) as lock,
            watching(address, lock.pid) as watch,
        ):
            watch.require_nobody()
            budget = 60.0 * (budget_minutes or settings.maintenance.budget_minutes)
            yield Turn(environment, lock.pid, datetime.now(UTC), time.monotonic(), budget)


@step(name="nightly-backup", run_name="nightly-backup-{environment}")
def back_up(environment: EnvironmentName, turn: Turn) -> tuple[str, tuple[str, ...]]:
    """Back up, read every file back, let go what retention lets go: the backup's name, and what went wrong besides.

    Raises:
        BackupError: it could not be made, or does not read back: then nothing else is done either.
        TargetHeld: a deployment wants the target.
    """
    installation = this_installation()
    with installation.target(environment) as address, watching(address, turn.lock_pid) as watch:
        night = nightly_backup(
            installation,
            installation.environment(environment),
            address,
            clock=lambda: datetime.now(UTC),
            say=say,
            progress=Progress(f"backup-progress-{environment}", "Backup"),
            check=watch.require_nobody,
        )
    damaged = tuple(f"backup {one} does not read back as it was written" for one in night.damaged)
    return night.backup.id, (*damaged, *night.problems)


@step(name="plan-maintenance", run_name="plan-maintenance-{environment}")
def plan_maintenance(environment: EnvironmentName, turn: Turn) -> Planned:
    """Find what needs freezing, vacuum or analyze, and what of it fits into the night."""
    installation = this_installation()
    settings = installation.environment(environment).maintenance
    with memory(installation, environment) as remembered:
        took = remembered.took_before()
    with installation.target(environment) as address:
        needs, work, left = ask_needs(address, settings, budget_seconds=turn.left_seconds, took_before=took)
    say(f"{environment}: {len(work)} tables to work on, {len(left)} are left alone")
    return Planned(needs, work, left, tuple(remembered.problems))


@step(name="work-on-tables", run_name="work-on-tables-{environment}")
def work_on_tables(environment: EnvironmentName, turn: Turn, planned: Planned) -> tuple[Done, ...]:
    """Freeze, vacuum and analyze, one table at a time; how each ended is in its outcome."""
    installation = this_installation()
    settings = installation.environment(environment).maintenance
    with installation.target(environment) as address, watching(address, turn.lock_pid) as watch:
        done = work_through(
            address,
            planned.work,
            settings,
            watch,
            budget_seconds=turn.left_seconds,
            say=say,
            progress=Progress(f"maintenance-progress-{environment}", "Maintenance"),
        )
        finish_requests(address, planned.needs.requests, done)
    return done


@step(name="keep-up", run_name="keep-up-{environment}")
def keep_up(environment: EnvironmentName, turn: Turn, night: Night) -> Night:
    """Clean up leftovers, rebuild one index, keep partitions, try waiting payments."""
    installation = this_installation()
    settings = installation.environment(environment).maintenance
    with installation.target(environment) as address, watching(address, turn.lock_pid) as watch:
        kept = look_after(
            address,
            settings,
            watch,
            now=datetime.now(UTC),
            left=night.left,
            budget_seconds=turn.left_seconds,
        )
    for one in kept:
        say(f"{one.what}: {one.outcome}{f', {one.detail}' if one.detail else ''}")
    return replace(night, kept=kept)


@step(name="tell", run_name="tell-{environment}")
def tell(environment: EnvironmentName, night: Night) -> Ended:
    """Compare the schema with the night before, write the night down, and show it."""
    installation = this_installation()
    with installation.target(environment) as address:
        found = find(address)
    with memory(installation, environment) as remembered:
        findings = compared(found, remembered.last_findings())
        night = replace(night, findings=findings, finished_at=datetime.now(UTC))
        remembered.keep(night, maintenance_line(night))
    night = replace(night, problems=tuple(dict.fromkeys((*night.problems, *findings.problems, *remembered.problems))))
    publish(f"maintenance-{environment}", maintenance_markdown(night), "How the night went")
    for problem in night.problems:
        say(problem)
    text = maintenance_line(night)
    error = WedsyncError(text, hint="The run's page says which, and why.") if night.outcome == "failed" else None
    return told(environment, Ended(text, error))


def not_done(environment: EnvironmentName, error: Exception) -> Ended:
    """What is told of a night that did not come to its end; that somebody else has the target wakes nobody."""
    ours = error if isinstance(error, WedsyncError) else unexpected(error)
    return told(environment, Ended(f"{environment}: {ours.message}", ours), quiet=TargetHeld)


def all_maintained(ended: Sequence[Ended]) -> State[object]:
    """The state of the run: the first error names it, one that is more than a busy target first."""
    return all_ended(ended, least=TargetHeld)
