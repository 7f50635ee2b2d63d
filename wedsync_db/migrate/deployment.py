"""The verbs of one deployment on its target: read the plan, confirm it, open, migrate, verify, close."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Sequence

import psycopg

from wedsync_db.errors import Inconclusive, Refused, Unreachable, VerifyFailed
from wedsync_db.guard.decide import Override
from wedsync_db.guard.impact import Work, work_rehearsed
from wedsync_db.migrate import apply, journal, ledger
from wedsync_db.migrate.decisions import record
from wedsync_db.migrate.plan import plan_of
from wedsync_db.model import (
    Applied,
    Approval,
    Backup,
    Change,
    Deployment,
    DeploymentStatus,
    Fingerprint,
    Opened,
    Plan,
    Rehearsal,
)
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment

Say = Callable[[str], None]
_NAMED_OBJECTS = 5  # how many differing objects an error names


def read_plan(address: Address, environment: Environment) -> Plan:
    """What a deployment would do now, with everything found about it. Only reads."""
    with session(address, "plan") as connection:
        applied = ledger.entries(connection)
        major = connection.info.server_version // 10_000
    return plan_of(environment.migrations, applied, target_major=major)


def plan_ahead(address: Address, environment: Environment) -> Plan:
    """What a deployment would do now, as far as its files tell; where no guard asks for it, they are not read."""
    asked = environment.guard.weddings != "off" or environment.promoted_from is not None
    return read_plan(address, environment) if asked else Plan(pending=(), applied=())


def work_left(address: Address, environment: Environment, plan: Plan, rehearsal: Rehearsal) -> Work:
    """What of a rehearsed plan is not in the ledger yet."""
    with session(address, "guard") as connection:
        done = {entry.id for entry in ledger.entries(connection)}
    return work_rehearsed(
        plan,
        rehearsal,
        [m for m in plan.pending if m.id not in done],
        brief_seconds=environment.locks.lock_timeout_ms / 1000,
        together=environment.atomic == "deployment",
    )


def is_unchanged(address: Address, environment: Environment, plan: Plan, fingerprint_before: str) -> bool:
    """Whether the plan and the target's catalog are still those that were rehearsed."""
    if read_plan(address, environment).hash != plan.hash:
        return False
    return take_fingerprint(address).digest == fingerprint_before


def take_fingerprint(address: Address) -> Fingerprint:
    """The target's catalog now."""
    with session(address, "fingerprint") as connection:
        return fingerprint.take(connection)


def open_deployment(
    address: Address,
    environment: Environment,
    plan: Plan,
    rehearsal: Rehearsal,
    backup: Backup | None,
    approval: Approval | None = None,
    overrides: Sequence[Override] = (),
) -> Opened:
    """Begin a deployment in the target's journal, with the guards that were overridden; the caller holds the lock.

    Raises:
        Refused: ledger or catalog are not those any more that were rehearsed; or the journal on the target is newer
            than this program.
    """
    with session(address, "journal") as connection:
        before = fingerprint.take(connection)
        if ledger.entries(connection) != plan.applied or (backup and before.digest != backup.manifest.fingerprint):
            raise Refused(
                "the target was changed by somebody else while this deployment waited for it; nothing was touched",
                hint="What was rehearsed is not what is there now: deploy again.",
            )
        ledger.install(connection)
        with connection.transaction():
            deployment = journal.begin(
                connection,
                plan=plan,
                atomic=environment.atomic,
                fingerprint_before=before.digest,
                backup_id=backup.id if backup else None,
                runner=runner_name(),
                rehearsal=rehearsal,
                approval=approval,
            )
            for one in overrides:
                record(connection, "override", one.rule, reason=one.reason, by=runner_name(), deployment=deployment.id)
    return Opened(deployment, before)


def migrate(
    address: Address,
    environment: Environment,
    plan: Plan,
    rehearsal: Rehearsal,
    deployment: Deployment,
    lock_pid: int,
    *,
    between: Callable[[], None],
    say: Say,
) -> Applied:
    """Run the pending migrations for real, under the lock that the caller holds.

    Raises:
        MigrationFailed: with what failed; what was committed before it is in the ledger.
        Displaced: another runner took over.
    """
    return apply.apply(
        address,
        plan,
        deployment,
        proofs=rehearsal.proofs,
        atomic=environment.atomic,
        locks=environment.locks,
        lock_pid=lock_pid,
        between=between,
        say=say,
    )


def verify(address: Address, opened: Opened, rehearsal: Rehearsal) -> Fingerprint:
    """Compare what the deployment did to the target with what the rehearsal did to its copy, object by object.

    Raises:
        VerifyFailed: the target's catalog changed differently; the message names the first objects.
    """
    with session(address, "verify") as connection:
        after = fingerprint.take(connection)
        different = surprises(opened.before.change_to(after), rehearsal.expected)
        if different:
            shown = ", ".join(different[:_NAMED_OBJECTS]) + (", …" if len(different) > _NAMED_OBJECTS else "")
            raise VerifyFailed(
                f"the target's catalog did not change as rehearsed: {shown}",
                hint="Somebody else may have changed the schema while the deployment ran.",
            )
        # the API's schema cache, where one listens; nobody listening is fine
        connection.execute(query("deployment", "tell_api"))
    return after


def surprises(happened: Change, expected: Change) -> tuple[str, ...]:
    """The objects whose change on the target is not the rehearsed one, sorted."""
    names = happened.objects.keys() | expected.objects.keys()
    return tuple(sorted(n for n in names if happened.objects.get(n) != expected.objects.get(n)))


def close_deployment(address: Address, deployment: Deployment, after: Fingerprint) -> None:
    """Mark the deployment as done in the journal.

    Raises:
        Displaced: another runner took over.
        Inconclusive: the journal could not be told; the migrations are applied all the same.
    """
    try:
        with session(address, "journal") as connection:
            journal.finish(connection, deployment, DeploymentStatus.DONE, "", after.digest)
    except (Unreachable, psycopg.Error) as error:
        raise Inconclusive(
            "everything is applied and verified, but the journal could not be told that it is done",
            hint="Run `recover`: only this is left to do.",
            sqlstate=error.sqlstate,
        ) from None


def runner_name() -> str:
    """Who runs this, for people: `user@host pid 4711`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no name for the uid
        user = str(os.geteuid())
    return f"{user}@{socket.gethostname()} pid {os.getpid()}"
