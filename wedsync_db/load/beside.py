"""A database beside the target, for a load test: the target's server and its migrations, made-up rows, gone afterwards.

Nothing of the target's is read or written, and nothing has to be cleaned up row by row: what a killed load test leaves
is one database, which the next one drops, or the next night's maintenance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from wedsync_db.errors import Refused
from wedsync_db.load.leftover import beside, create, drop, drop_left
from wedsync_db.load.scenario import Scenario
from wedsync_db.migrate.execute import run_scripts
from wedsync_db.model import Migration
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.seed.triggers import standing_aside


@contextmanager
def load_database(
    target: Address, migrations: Sequence[Migration], scenario: Scenario, *, before: bool = False
) -> Iterator[Address]:
    """A database with these migrations and the scenario's suppliers. Call it under the target's lock.

    `before` is for a second one, without the migration that is compared.

    Raises:
        Refused: its name is taken by a database that is none of ours, or the role may not create databases.
        MigrationFailed: a statement fails.
    """
    address = beside(target, before=before)
    with session(target, "load-test", statement_timeout_ms=0) as connection:
        drop_left(connection, address.dbname)
        try:
            create(connection, address.dbname)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Refused(
                f"no database can be created for the load test: {error.diag.message_primary}",
                hint=f"alter role {connection.info.user} createdb",
            ) from None
        try:
            _make(address, migrations, scenario)
            yield address
        finally:
            _drop(connection, address.dbname)


def _make(address: Address, migrations: Sequence[Migration], scenario: Scenario) -> None:
    with session(address, "load-test", statement_timeout_ms=0) as connection:
        run_scripts(connection, migrations)
        fill(connection, scenario)


def fill(connection: psycopg.Connection, scenario: Scenario) -> None:
    """Make the scenario's suppliers and users, nobody audited for it; then let the planner know."""
    if scenario.fill:
        _fill(connection, scenario)
    connection.execute("vacuum (analyze)")


def _fill(connection: psycopg.Connection, scenario: Scenario) -> None:
    with connection.transaction():
        acting = connection.execute(query("load", "acting_triggers"), {}).fetchall()
        with standing_aside(connection, acting):
            for name in ("tenants", "users"):
                connection.execute("select set_config(%s, %s, true)", [f"load.{name}", str(getattr(scenario, name))])
            connection.execute(sql.SQL(scenario.fill), prepare=False)


def _drop(connection: psycopg.Connection, dbname: str) -> None:
    """Drop it, unless the server ended this session: the target may be somebody else's by then, who drops it."""
    try:
        drop(connection, dbname)
    except psycopg.OperationalError:
        if not connection.closed:
            raise
