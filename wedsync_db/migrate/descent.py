"""Running a revert on a copy and looking whether everything is as it was: in one transaction, as undo does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from wedsync_db.errors import MigrationFailed
from wedsync_db.migrate.desk import Clock, Desk
from wedsync_db.migrate.execute import run_script
from wedsync_db.migrate.explain import describe, label
from wedsync_db.migrate.holds import changes_rows
from wedsync_db.migrate.licence import Shown, brings_back
from wedsync_db.migrate.newrows import NewRow, remove_rows
from wedsync_db.migrate.run import require_open, reset
from wedsync_db.migrate.state import State, gone_back, reread
from wedsync_db.migrate.watch import locks_of
from wedsync_db.model import Script
from wedsync_db.postgres import content, fingerprint
from wedsync_db.postgres.queries import query

MUST_BE_KEPT = "WS006"  # what a revert raises over rows that nobody may drop, because the law wants them


@dataclass(frozen=True, slots=True)
class Descent:
    """What a revert showed. It was committed only if it brought everything back, so that the copy stays usable.

    `keeps_rows`: it ran into rows that have to be kept, and refused, as it should.
    """

    shown: Shown
    seconds: float | None
    committed: bool
    keeps_rows: bool = False


def descend(
    desk: Desk,
    migration_id: str,
    revert: Script,
    before: State,
    *,
    rows: Sequence[NewRow],
    touched: frozenset[str],
    clock: Clock,
) -> Descent:
    """Run the revert over rows of the new release, take these away, and compare with the state before the migration.

    Args:
        desk: the copy.
        migration_id: whose revert it is.
        revert: the script.
        before: the state it has to bring back.
        rows: what `write_rows` wrote; they do not count.
        touched: tables whose rows the migration may have changed; those the revert locks are added.
        clock: seconds, monotonic.
    """
    try:
        with desk.deployer.transaction() as transaction:
            started = clock()
            run_script(desk.deployer, migration_id, revert)
            require_open(desk.deployer, label(revert))
            desk.deployer.execute(query("apply", "check_constraints"))
            seconds = clock() - started
            shown = _compare(desk, before, rows, touched)
            if not brings_back(shown):
                raise psycopg.Rollback(transaction)
    except MigrationFailed as error:
        keeps_rows = error.sqlstate == MUST_BE_KEPT
        return Descent(Shown(revert_error=error.message), None, committed=False, keeps_rows=keeps_rows)
    except psycopg.Error as error:
        return Descent(Shown(revert_error=f"{label(revert)}: {describe(error)}"), None, committed=False)
    finally:
        with suppress(psycopg.Error):  # a lost session is found by whoever uses it next
            reset(desk.deployer, desk.address)
    return Descent(shown, seconds, brings_back(shown))


def _compare(desk: Desk, before: State, rows: Sequence[NewRow], touched: frozenset[str]) -> Shown:
    locks = locks_of(desk.superuser, desk.deployer.info.backend_pid)
    locked = {name[0] for (_, mode), name in locks.items() if name and changes_rows(mode)}
    inside = desk.deployer
    inside.execute(query("descent", "become_superuser"))
    catalog = fingerprint.take(inside)
    remove_rows(inside, rows)
    relations = sorted((touched | locked) & before.content.keys())
    return Shown(
        leftover=before.catalog.change_to(catalog),
        before={name: before.content[name] for name in relations},
        after=reread(inside, before, relations),
        gone_back=gone_back(before.sequences, content.sequences(inside)),
    )
