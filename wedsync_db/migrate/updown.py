"""Up, down and up again, migration by migration: what each costs, and what its revert brings back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from wedsync_db.errors import Inconclusive, MigrationFailed, RehearsalFailed
from wedsync_db.migrate.copies import Renew
from wedsync_db.migrate.descent import Descent, descend
from wedsync_db.migrate.desk import Clock, Desk, climb, desk_at
from wedsync_db.migrate.holds import held, written
from wedsync_db.migrate.licence import Shown, judge
from wedsync_db.migrate.newrows import remove_rows, write_rows
from wedsync_db.migrate.state import State, look
from wedsync_db.migrate.watch import Tracer
from wedsync_db.model import Change, Fingerprint, Licence, Migration, MigrationProof, RelationContent, TracedStatement
from wedsync_db.postgres import fingerprint
from wedsync_db.settings import LockSettings


@dataclass(frozen=True, slots=True)
class Proven:
    """One migration's proof, its traced statements, and notes."""

    proof: MigrationProof
    statements: tuple[TracedStatement, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Up:
    """What going up showed. `tail`: seconds from the end of the last statement to the end of COMMIT."""

    statements: tuple[TracedStatement, ...]
    tail: float
    catalog: Fingerprint
    change: Change
    touched: frozenset[str]


def prove_each(
    renew: Renew,
    migrations: Sequence[Migration],
    *,
    known: Sequence[RelationContent],
    locks: LockSettings,
    say: Callable[[str], None],
    progress: Callable[[float], None],
    clock: Clock = time.perf_counter,
) -> Iterator[Proven]:
    """Prove the migrations in order, each on top of those before it.

    Args:
        renew: gives a fresh copy, in the state before the first migration.
        migrations: what is pending.
        known: what the tables of a fresh copy hold, as far as that was compared already.
        locks: the timeouts of statements.
        say: gets a line for each migration.
        progress: gets 0 to 1.
        clock: seconds, monotonic.

    Raises:
        RehearsalFailed: a migration fails on this data.
    """
    with ExitStack() as stack:
        desk = stack.enter_context(desk_at(renew(), locks))
        state = look(desk.superuser, {one.relation: one for one in known})
        for index, migration in enumerate(migrations):
            up = _up(desk, migration, state, clock)
            went, notes = _down(desk, migration, state, up, clock)
            if went.shown.again_error:  # the copy is of no use any more: another, brought to the same place
                stack.close()
                desk = stack.enter_context(desk_at(renew(), locks))
                for earlier in migrations[: index + 1]:
                    climb(desk, earlier)
            after = look(desk.superuser, state.content, up.touched)
            proof = _proof(migration, up, went, state, after)
            say(_summary(proof))
            progress((index + 1) / len(migrations))
            state = after
            yield Proven(proof, up.statements, notes)


def _up(desk: Desk, migration: Migration, before: State, clock: Clock) -> _Up:
    tracer = Tracer(desk.deployer, desk.superuser, clock)
    try:
        tail = climb(desk, migration, tracer, clock)
    except MigrationFailed as error:
        if desk.deployer.closed and error.sqlstate is None:  # gone without a word
            raise Inconclusive(
                f"the scratch server was lost: {error.message}",
                hint="Is there room left on its disk, and memory? Otherwise this migration brings a server down.",
            ) from None
        raise failed(error) from None
    finally:
        tracer.abandon()
    statements = tracer.statements()
    catalog = fingerprint.take(desk.superuser)
    # statements outside of transactions give their locks back before they can be read for certain
    touched = written(statements) if migration.transactional else frozenset(before.content)
    return _Up(statements, tail, catalog, before.catalog.change_to(catalog), touched)


def _down(desk: Desk, migration: Migration, before: State, up: _Up, clock: Clock) -> tuple[Descent, tuple[str, ...]]:
    """Down over rows of the new release, unless those have to be kept; up again if that brought everything back."""
    if migration.revert is None:
        return Descent(Shown(), None, committed=False), ()
    rows, notes = write_rows(desk.superuser, _changed(up), before.columns)
    touched = up.touched | {row.relation for row in rows}
    went = descend(desk, migration.id, migration.revert, before, rows=rows, touched=touched, clock=clock)
    if not went.committed:
        with desk.superuser.transaction():
            remove_rows(desk.superuser, rows)
        if went.keeps_rows and rows:
            notes = (
                *notes,
                "refuses, as it should, while there are rows that have to be kept, and was reverted without",
            )
            went = descend(desk, migration.id, migration.revert, before, rows=(), touched=touched, clock=clock)
    if not went.committed:
        return went, notes
    return replace(went, shown=replace(went.shown, again_error=_again(desk, migration, up.catalog))), notes


def _again(desk: Desk, migration: Migration, expected: Fingerprint) -> str | None:
    """What is wrong with going up a second time, None if nothing is."""
    try:
        climb(desk, migration)
    except MigrationFailed as error:
        return f"fails: {error.message}"
    different = sorted(expected.change_to(fingerprint.take(desk.superuser)).objects)
    return f"makes something else of {different[0]} than the first time" if different else None


def _changed(up: _Up) -> frozenset[str]:
    """Tables the new release may write other rows into: locked for a change, or changed in the catalog."""
    return written(up.statements) | up.catalog.names("table") & {n.removeprefix("table:") for n in up.change.objects}


def _proof(migration: Migration, up: _Up, went: Descent, before: State, after: State) -> MigrationProof:
    licence, reasons = judge(migration, went.shown)
    created = sorted(after.content.keys() - before.content.keys())
    return MigrationProof(
        migration.id,
        licence,
        reasons,
        seconds_up=sum(s.seconds for s in up.statements) + up.tail,
        seconds_down=went.seconds,
        wal_bytes=sum(s.wal_bytes for s in up.statements),
        locks=held(migration, up.statements, up.tail, before.catalog.names("table")),
        created_content={name: (after.content[name].rows, after.content[name].hash) for name in created},
        change=up.change,
        revert_sha256=migration.revert.sha256 if migration.revert else None,
    )


_WORTH = {
    Licence.EXACT: "its revert brings back exactly what was there",
    Licence.WEAKER: "its revert does not bring back everything",
    Licence.NONE: "it cannot be taken back",
}


def _summary(proof: MigrationProof) -> str:
    down = "no revert" if proof.seconds_down is None else f"down {proof.seconds_down:.2f} s"
    because = f": {'; '.join(proof.reasons)}" if proof.reasons else ""
    return f"{proof.migration}: up {proof.seconds_up:.2f} s, {down}; {_WORTH[proof.licence]}{because}"


def failed(error: MigrationFailed) -> RehearsalFailed:
    """A migration that failed on a copy: the same words, another kind, as the target was not touched."""
    return RehearsalFailed(error.message, hint=error.hint, sqlstate=error.sqlstate, excerpt=error.excerpt)
