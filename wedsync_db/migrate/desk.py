"""A copy with its two sessions, and running one migration up on it as production would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from wedsync_db.errors import MigrationFailed
from wedsync_db.migrate.closing import verify
from wedsync_db.migrate.copies import Copy
from wedsync_db.migrate.execute import NO_WATCH, Watch, run_script, run_statement
from wedsync_db.migrate.explain import describe, label
from wedsync_db.migrate.reconcile import Tries, require_done, there_before
from wedsync_db.migrate.run import require_open, reset
from wedsync_db.model import Migration
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import LockSettings

# what may begin and end transactions of its own where it is not inside one
_MAY_COMMIT = frozenset({"CallStmt", "DoStmt"})
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Desk:
    """Two sessions with a copy: the deployer's runs the scripts, the superuser's looks on and measures."""

    address: Address
    deployer: psycopg.Connection
    superuser: psycopg.Connection


@contextmanager
def desk_at(copy: Copy, locks: LockSettings) -> Iterator[Desk]:
    """Open the two sessions."""
    limit = locks.statement_timeout_ms
    with session(copy.deployer, "rehearse", lock_timeout_ms=0, statement_timeout_ms=limit) as deployer:
        with session(copy.superuser, "observe", statement_timeout_ms=0) as superuser:
            yield Desk(copy.deployer, deployer, superuser)


def climb(desk: Desk, migration: Migration, watch: Watch = NO_WATCH, clock: Clock = time.perf_counter) -> float:
    """Run deploy.sql and verify.sql as `apply` does, and commit; the seconds from the last statement to the end.

    Raises:
        MigrationFailed: a statement failed, the check says no, or the catalog does not show what a statement was to do.
    """
    try:
        return (_together if migration.transactional else _alone)(desk, migration, watch, clock)
    except psycopg.Error as error:
        where = f"at the end of {label(migration.deploy)}"
        raise MigrationFailed(f"{where}: {describe(error)}", sqlstate=error.sqlstate) from None


def _together(desk: Desk, migration: Migration, watch: Watch, clock: Clock) -> float:
    with desk.deployer.transaction():
        run_script(desk.deployer, migration.id, migration.deploy, watch)
        started = clock()
        require_open(desk.deployer, label(migration.deploy))
        _check(desk, migration)
    return clock() - started


def _alone(desk: Desk, migration: Migration, watch: Watch, clock: Clock) -> float:
    script = migration.deploy
    for index, statement in enumerate(script.statements):
        if statement.concurrent or statement.kind in _MAY_COMMIT or statement.kind == "VariableSetStmt":
            before = Tries((frozenset(there_before(desk.deployer, statement)),))
            run_statement(desk.deployer, migration.id, script, index, watch)
            require_done(desk.deployer, script, statement, before)
        else:
            with desk.deployer.transaction():
                run_statement(desk.deployer, migration.id, script, index, watch)
    started = clock()
    with desk.deployer.transaction():
        _check(desk, migration)
    return clock() - started


def _check(desk: Desk, migration: Migration) -> None:
    reset(desk.deployer, desk.address)
    verify(desk.deployer, migration)
    desk.deployer.execute(query("apply", "check_constraints"))
