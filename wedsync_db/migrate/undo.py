"""Reverting one committed migration without losing anything that was written since.

One transaction does it all: fence, locks, a trial run of the revert in a savepoint to see what it removes and rewrites,
the look at what stands there now, the revert, the comparison, ledger and journal, COMMIT. So the script runs twice, and
the tables it rewrites are read twice, under ACCESS EXCLUSIVE; tables whose stored rows it leaves alone are not read.
A script that may not run in a transaction is undo_alone.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from wedsync_db.errors import LockTimeout, MigrationFailed
from wedsync_db.migrate import at_risk, journal, ledger, loss
from wedsync_db.migrate.acquire import RETRYABLE, take_locks
from wedsync_db.migrate.at_risk import Effect, Positions, Relations
from wedsync_db.migrate.execute import run_script
from wedsync_db.migrate.explain import describe
from wedsync_db.migrate.revert import Revert, note, person_needed
from wedsync_db.migrate.run import CommitLost, Run, fenced, reset, retrying
from wedsync_db.migrate.touched import positions, relations, touched
from wedsync_db.migrate.undo_alone import revert_alone
from wedsync_db.model import Fingerprint, HeldLock, Migration, MigrationProof
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import session


class SessionLost(Exception):
    """The session ended under the revert, in COMMIT perhaps."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """What the trial run showed: its effect, what the relations were before it, how far their sequences were drawn."""

    effect: Effect
    before: Relations
    positions: Positions
    large_objects: bool


def revert_migration(
    connection: psycopg.Connection,
    run: Run,
    migration: Migration,
    proof: MigrationProof | None,
    *,
    accept_loss: bool = False,
) -> None:
    """Revert one applied migration, all or nothing; one that the ledger does not have is left alone.

    Raises:
        PersonNeeded: something would be lost, or cannot be proven safe; `at_risk` says what. Nothing was changed.
        LockTimeout: a lock was not to be had. Nothing was changed.
        Displaced: another runner took over. Nothing was changed.
        SessionLost: the ledger says whether it was before or after COMMIT.
    """
    if migration.revert is None:
        raise person_needed(migration.id, at_risk.unlicensed(migration, proof))
    revert = Revert(migration, migration.revert, proof, accept_loss)
    revert.refuse(run, at_risk.unlicensed(migration, proof))
    with judged(connection, migration):
        if any(statement.concurrent for statement in revert.script.statements):
            revert_alone(connection, run, revert)
        else:
            retrying(run, lambda: _attempt(connection, run, revert))


def revert_in_session(
    run: Run, migration: Migration, proof: MigrationProof | None, *, accept_loss: bool = False
) -> None:
    """Do it in a session of its own, which `recover` can end, and which takes what the script sets with it."""
    lock, statement = run.settings.lock_timeout_ms, run.settings.statement_timeout_ms
    with session(run.address, "revert", lock_timeout_ms=lock, statement_timeout_ms=statement) as connection:
        journal.attach(connection, run.deployment)
        revert_migration(connection, run, migration, proof, accept_loss=accept_loss)


@contextmanager
def judged(connection: psycopg.Connection, migration: Migration) -> Iterator[None]:
    """Say what a failure means: a lock or a lost session is nobody's fault and passes, all else needs a person."""
    try:
        yield
    except (MigrationFailed, psycopg.Error, CommitLost) as error:
        if connection.closed or isinstance(error, CommitLost):
            raise SessionLost from None
        if isinstance(error, LockTimeout) or error.sqlstate in RETRYABLE:
            raise
        said = describe(error) if isinstance(error, psycopg.Error) else error.message
        raise person_needed(migration.id, (f"its revert cannot be run: {said}",)) from None


def _attempt(connection: psycopg.Connection, run: Run, revert: Revert) -> int:
    with fenced(connection, run), _checked(connection):
        if ledger.forget(connection, revert.migration.id):
            note(connection, run, revert)
            _revert(connection, run, revert)
    return 0


@contextmanager
def _checked(connection: psycopg.Connection) -> Iterator[None]:
    """A check that fails says so, and not only that something failed."""
    try:
        yield
    except psycopg.Error as error:
        if connection.closed or error.sqlstate in RETRYABLE:
            raise
        raise MigrationFailed(f"what it would lose could not be checked: {describe(error)}") from None


def _revert(connection: psycopg.Connection, run: Run, revert: Revert) -> None:
    take_locks(connection, _exclusive(_known(revert.proof)), run.settings, run.say, rng=run.rng)
    catalog = fingerprint.take(connection)
    trial = _try(connection, run, revert)
    _guard(connection, run, revert, trial)
    revert.refuse(run, _foreseen(connection, revert, trial))
    before = loss.contents(connection, trial.effect)
    with connection.transaction() as attempt:
        _run(connection, run, revert)
        risks = _beyond(connection, trial, catalog, revert.proof)
        damage = loss.damage(connection, trial.effect, before, by_column=not revert.accept_loss)
        if (risks or damage) and not revert.accept_loss:
            raise psycopg.Rollback(attempt)
    revert.refuse(run, (*risks, *loss.named(connection, damage)))


def _try(connection: psycopg.Connection, run: Run, revert: Revert) -> _Trial:
    """Run the revert in a savepoint to see what it does, and take it back."""
    with connection.transaction(force_rollback=True):
        _run(connection, run, revert)
        seen = touched(connection)
        after = relations(connection, seen.oids)
    before = relations(connection, seen.oids)
    drawn = positions(connection, before)
    return _Trial(at_risk.effect(before, after, seen.written), before, drawn, seen.large_objects)


def _run(connection: psycopg.Connection, run: Run, revert: Revert) -> None:
    run_script(connection, revert.migration.id, revert.script)
    connection.execute(query("apply", "check_constraints"))
    reset(connection, run.address)


def _guard(connection: psycopg.Connection, run: Run, revert: Revert, trial: _Trial) -> None:
    """Keep everybody off the tables that will be looked at, from now to the end of the transaction."""
    take_locks(connection, _exclusive(trial.effect.guarded), run.settings, run.say, rng=run.rng)
    if relations(connection, trial.before) != trial.before:
        raise LockTimeout("tables it touches were changed while their locks were taken", sqlstate="55P03")
    held = touched(connection).exclusive
    free = sorted(r.name for r in trial.before.values() if r.name in trial.effect.guarded and r.oid not in held)
    revert.refuse(run, (f"{name}, which this role may not lock" for name in free))


def _foreseen(connection: psycopg.Connection, revert: Revert, trial: _Trial) -> Iterator[str]:
    """What can be told before the revert runs: rows and values in what it removes."""
    if revert.migration.lossless is not None:
        yield from loss.by_author(connection, revert.migration.lossless)
    else:
        yield from loss.removed(connection, trial.effect, trial.positions, revert.proof)
    yield from map(at_risk.written_elsewhere, trial.effect.written_elsewhere)
    if trial.large_objects:
        yield "large objects, which the revert changes and nobody can compare"


def _beyond(
    connection: psycopg.Connection, trial: _Trial, catalog: Fingerprint, proof: MigrationProof | None
) -> tuple[str, ...]:
    """What can only be told after it: a catalog or an effect other than foreseen, sequences that went back."""
    seen = touched(connection)
    after = relations(connection, seen.oids)
    same = at_risk.effect(trial.before, after, seen.written) == trial.effect
    return (
        *at_risk.beyond(catalog.change_to(fingerprint.take(connection)), proof.change if proof else None),
        *(() if same else ("whatever the revert touches: it did not do the same twice",)),
        *at_risk.sequences(trial.positions, positions(connection, after), trial.before),
    )


def _known(proof: MigrationProof | None) -> Iterator[str]:
    """The tables the migration created or locked, as the rehearsal saw it: most of what the revert will lock."""
    if proof is not None:
        yield from proof.created_content
        yield from (lock.relation for lock in proof.locks)


def _exclusive(names: Iterable[str]) -> list[HeldLock]:
    return [HeldLock(name, "AccessExclusiveLock", 0.0) for name in names]
