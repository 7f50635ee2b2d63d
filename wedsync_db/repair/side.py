"""The two sides of a repair on a scratch server: the backup, and the backup with the same migrations run on it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from wedsync_db.errors import Inconclusive, Refused, UsageError, WedsyncError
from wedsync_db.migrate import apply, journal, ledger
from wedsync_db.migrate.copies import Copy, copies
from wedsync_db.migrate.execute import NO_WATCH
from wedsync_db.migrate.explain import describe
from wedsync_db.migrate.prove import deployer_settings
from wedsync_db.migrate.run import Run
from wedsync_db.migrate.undo import SessionLost, revert_in_session
from wedsync_db.model import Backup, DeploymentStatus, Migration, Plan, Step
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment

Say = Callable[[str], None]
_BEFORE = "wedsync_repair_before"
_MAINTENANCE = "template1"  # the backup's own database may be called postgres


@contextmanager
def restored(
    address: Address, environment: Environment, backup: Backup, scratch_parent: Path, say: Say
) -> Iterator[tuple[Address, Copy]]:
    """Restore the backup twice; yields the one that stays as it was, and the one to run migrations on.

    Raises:
        BackupError: it is damaged.
        Inconclusive: a scratch server cannot stand for the target.
    """
    server = backup.manifest.server
    deployer = None if server.is_superuser else environment.role or server.user
    settings = deployer_settings(address)
    with copies(server.major, scratch_parent, backup=backup, deployer=deployer, settings=settings, say=say) as renew:
        copy = renew(last=True)
        create = sql.SQL("create database {} template {}")
        with session(copy.superuser.with_database(_MAINTENANCE), "repair", statement_timeout_ms=0) as connection:
            connection.execute(create.format(*map(sql.Identifier, (_BEFORE, copy.superuser.dbname))))
        yield copy.superuser.with_database(_BEFORE), copy


def steps_since(target: psycopg.Connection, side: psycopg.Connection) -> tuple[Step, ...]:
    """What was applied and reverted on the target after the backup was made, in order.

    Raises:
        Refused: the backup is of another database.
    """
    if ledger.require_known(target) == 0:
        return ()
    last = side.execute(query("repair", "last_step")).fetchone() if ledger.require_known(side) else None
    if last and not target.execute(query("repair", "has_step"), last).fetchall()[0][0]:
        raise Refused("this backup is of another database: its journal is not the beginning of the target's")
    return tuple(Step(*row) for row in target.execute(query("repair", "steps_since"), [last[0] if last else 0]))


def replay(copy: Copy, steps: Sequence[Step], migrations: Mapping[str, Migration], environment: Environment) -> None:
    """Do to the copy what was done to the target.

    Raises:
        UsageError: the files are not those that ran.
        Inconclusive: they do not run on the backup.
    """
    _require_files(steps, migrations)
    try:
        with session(copy.deployer, "journal") as connection:
            ledger.install(connection)
            for step in steps:
                _again(connection, copy.deployer, migrations[step.migration], step.direction, environment)
    except (WedsyncError, psycopg.Error, SessionLost) as error:
        said = describe(error) if isinstance(error, psycopg.Error) else str(error) or "the scratch server was lost"
        raise Inconclusive(
            f"what the migrations took cannot be told from what people changed: they do not run on the backup: {said}",
            hint="Take a backup made shortly before them, or restore it beside the target and compare by hand.",
        ) from None


def _require_files(steps: Sequence[Step], migrations: Mapping[str, Migration]) -> None:
    for step in steps:
        found = migrations.get(step.migration)
        scripts = (found.deploy, found.revert) if found else ()
        if step.sql_sha256 not in {s.sha256 for s in scripts if s}:
            raise UsageError(
                f"the file of {step.migration} is not the one that ran", hint="Check out the version that deployed it."
            )


def _again(
    connection: psycopg.Connection, address: Address, migration: Migration, direction: str, environment: Environment
) -> None:
    plan = Plan((migration,) if direction == "deploy" else (), ())
    deployment = journal.begin(
        connection,
        plan=plan,
        atomic="migration",
        fingerprint_before="",
        backup_id=None,
        runner="repair",
        rehearsal=None,
    )
    locks, nothing = environment.locks, (lambda _line: None)
    if direction == "deploy":
        apply.apply(
            address,
            plan,
            deployment,
            proofs=(),
            atomic="migration",
            locks=locks,
            lock_pid=None,
            between=lambda: None,
            say=nothing,
        )
    else:
        rng = random.Random()  # noqa: S311 - jitter is no secret
        run = Run(address, deployment, {}, locks, None, lambda: None, NO_WATCH, nothing, (), rng)
        revert_in_session(run, migration, None, accept_loss=True)
    journal.finish(connection, deployment, DeploymentStatus.DONE, "", None)
