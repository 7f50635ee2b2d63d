"""The verb: restore a backup at the side, find what migrations took since, and bring back what nobody wrote anew."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql

from wedsync_db.errors import Inconclusive, Refused, UsageError
from wedsync_db.migrate import decisions, journal
from wedsync_db.migrate.deployment import runner_name
from wedsync_db.migrate.execute import NO_WATCH
from wedsync_db.migrate.explain import describe
from wedsync_db.migrate.prove import require_data_copy
from wedsync_db.migrate.run import CommitLost, Run
from wedsync_db.model import Backup, DeploymentStatus, Migration, Step
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.content import PINNED, quoted, tables
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.repair.compare import is_same, shape
from wedsync_db.repair.decide import Comparison, Shape, comparison, in_order
from wedsync_db.repair.report import Repaired, notes_in
from wedsync_db.repair.side import replay, restored, steps_since
from wedsync_db.repair.work import Work, look_only, write
from wedsync_db.settings import Environment

Say = Callable[[str], None]


def repair(
    address: Address,
    environment: Environment,
    migrations: Sequence[Migration],
    backup: Backup,
    *,
    only: Sequence[str],
    apply: str | None,
    scratch_parent: Path,
    file: Path,
    say: Say,
) -> Repaired:
    """Find what the migrations since `backup` took from its rows; bring it back where nobody wrote anew.

    `only`: tables as `schema.table`, or `table` in public; all by default. Each row is noted in `file`. `apply` is a
    person's reason to write, kept in the journal; None only looks. A second run finds nothing more to bring back.

    Raises:
        UsageError: a table is not in the backup, or the migrations' files are not those that ran.
        Refused: the data may not be copied here, the backup is of another database, a deployment is unfinished.
        TargetHeld: somebody holds the target.
        Inconclusive: the migrations do not run on the backup again, or a database could not be read.
    """
    require_data_copy(environment)
    wanted = _wanted([one.relation for one in backup.manifest.relations], only)
    with _readable(), _reading(address) as now:
        if journal.unfinished(now):
            raise Refused("a deployment of this database is unfinished", hint="Run `recover` first.")
    with _readable(), restored(address, environment, backup, scratch_parent, say) as (side, copy):
        with _reading(side) as before, _reading(address) as now:
            steps = steps_since(now, before)
            if not steps:
                return Repaired(backup.id, apply is not None, 0.0, (), {}, (), (), None)
            runs = _runs(now, steps)
            replay(copy, steps, {m.id: m for m in migrations}, environment)
            with _reading(copy.superuser) as after:
                found, person = _find(before, after, now, wanted)
                work = Work(before, after, found, runs)
                with notes_in(file) as notes:
                    if apply is None:
                        counts = look_only(work, address, notes)
                    else:
                        with _journalled(address, environment, backup, apply, say) as run:
                            _require_no_more(steps, steps_since(now, before))
                            counts = write(work, run, notes)
    gap = (runs[0][0] - backup.manifest.created_at).total_seconds()
    return Repaired(backup.id, apply is not None, gap, _names(steps), counts, person, tuple(notes.examples), file)


def _require_no_more(known: Sequence[Step], steps: Sequence[Step]) -> None:
    """Under lock: what was compared with is still what was deployed.

    Raises:
        Refused: it is not.
    """
    if tuple(steps) != tuple(known):
        raise Refused("migrations ran while the sides were made", hint="Nothing was written; repair again.")


def _runs(connection: psycopg.Connection, steps: Sequence[Step]) -> list[tuple[datetime, datetime]]:
    """When each deployment of these steps began and ended; none is unfinished."""
    known = (journal.read(connection, name) for name in dict.fromkeys(step.deployment_id for step in steps))
    return [(one.started_at, one.finished_at) for one in known if one and one.finished_at]


def _names(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(s.migration if s.direction == "deploy" else f"{s.migration} (reverted)" for s in steps)


def _wanted(there: Sequence[str], only: Sequence[str]) -> tuple[str, ...]:
    """The tables to look at.

    Raises:
        UsageError: one of those asked for is not in the backup.
    """
    names = {name if name in there else f"public.{name}" for name in only}
    if missing := sorted(names.difference(there)):
        raise UsageError(f"the backup has no table {', '.join(missing)}", hint="Give it as schema.table.")
    return tuple(name for name in there if not only or name in names)


def _find(
    before: psycopg.Connection, after: psycopg.Connection, now: psycopg.Connection, wanted: Sequence[str]
) -> tuple[list[tuple[Comparison, Shape | None]], tuple[str, ...]]:
    """The tables that migrations took something from, those referred to first; and what a person has to decide."""
    after_has, now_has = set(tables(after)), set(tables(now))
    found: dict[str, tuple[Comparison, Shape | None]] = {}
    person: list[str] = []
    for name in wanted:
        if name in after_has and name in now_has and is_same(before, after, name):
            continue
        left, there = shape(before, name), shape(after, name) if name in after_has else None
        how = comparison(name, left, there, shape(now, name) if name in now_has else None)
        if isinstance(how, str):
            person.append(f"{name}: {how}")
        else:
            found[name] = how, there
            person += _unplaced(before, how)
    order = in_order(tuple(found), now.execute(query("repair", "references")).fetchall())
    return [found[name] for name in order], tuple(person)


def _unplaced(before: psycopg.Connection, table: Comparison) -> Iterator[str]:
    """Columns whose values have nowhere to go, or not as they are."""
    for column, why in (
        *((c, "is not there any more: bring it back with a new migration") for c in table.gone),
        *((c, "has another type now") for c in table.changed),
    ):
        statement = sql.SQL(query("repair", "values_in")).format(
            column=sql.Identifier(column), relation=quoted(table.relation)
        )
        if count := before.execute(statement).fetchall()[0][0]:
            yield f"{table.relation}.{column} {why} ({count:,} in the backup)"


@contextmanager
def _journalled(address: Address, environment: Environment, backup: Backup, reason: str, say: Say) -> Iterator[Run]:
    """Hold the target, and say in its journal who repairs it and how that ends. `recover` closes an interrupted one."""
    with (
        target_lock(address, "repair", wait_seconds=environment.guard.wait_for_holder_seconds, say=say) as lock,
        session(address, "journal") as connection,
    ):
        what = f"repaired from {backup.id}"
        deployment, _ = decisions.begin_rung(connection, what, reason=reason, by=runner_name(), backup_id=backup.id)
        rng = random.Random()  # noqa: S311 - jitter is no secret
        run = Run(address, deployment, {}, environment.locks, lock.pid, lambda: None, NO_WATCH, say, (), rng)
        status, message = DeploymentStatus.PERSON_NEEDED, f"the repair from {backup.id} was stopped"
        try:
            yield run
            status, message = DeploymentStatus.DONE, what
        except CommitLost:
            raise Inconclusive("the session was lost in COMMIT", hint="Repair again: it goes on where it is.") from None
        finally:
            journal.finish(connection, deployment, status, message, fingerprint.take(connection).digest)


@contextmanager
def _reading(address: Address) -> Iterator[psycopg.Connection]:
    with session(address, "repair", statement_timeout_ms=0, settings=PINNED) as connection:
        yield connection


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise Inconclusive(
            f"the rows could not be compared: {describe(error)}",
            hint="The role must see and may write all rows: it owns the tables, or bypasses row-level security.",
            sqlstate=error.sqlstate,
        ) from None
