"""What stands before every COMMIT of migrations: verify scripts, deferred constraints, invariants, ledger, journal."""

from __future__ import annotations

import psycopg

from wedsync_db.errors import MigrationFailed
from wedsync_db.migrate import journal, ledger
from wedsync_db.migrate.execute import run_verify
from wedsync_db.migrate.explain import describe
from wedsync_db.migrate.groups import Group
from wedsync_db.migrate.run import Run
from wedsync_db.model import Migration
from wedsync_db.postgres.queries import query


def verify(connection: psycopg.Connection, migration: Migration) -> None:
    """Run the migration's verify script, if it has one, and take back whatever that changed.

    Raises:
        VerifyFailed: it said no.
    """
    if migration.verify is None:
        return
    with connection.transaction(force_rollback=True):
        run_verify(connection, migration.verify)


def record(connection: psycopg.Connection, run: Run, group: Group) -> None:
    """Ask deferred constraints and invariants, then write the group into ledger and journal.

    Raises:
        MigrationFailed: a deferred constraint is violated.
        VerifyFailed: an invariant said no.
    """
    try:
        connection.execute(query("apply", "check_constraints"))
    except psycopg.Error as error:
        ids = group[0].id if len(group) == 1 else f"{group[0].id} to {group[-1].id}"
        raise MigrationFailed(f"at the end of {ids}: {describe(error)}", sqlstate=error.sqlstate) from None
    for invariant in run.invariants:
        invariant(connection)
    ledger.record(connection, group, run.deployment.id)
    journal.done_steps(connection, run.deployment, group, "deploy")
