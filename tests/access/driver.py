"""Lays the rows, runs the cases inside the server, and says in words what came otherwise than expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.access.attempt import Case, literal
from tests.access.cases import every_case
from tests.access.catalogue import TABLES, qualified
from tests.access.oracle import UNGRANTED
from tests.access.rows import ROWS
from tests.access.structure import Structure, read_structure
from tests.support.schema import MIGRATIONS, owned_database, run
from wedsync_db.postgres.cluster import Cluster
from wedsync_db.postgres.session import session

_DRIVER = Path(__file__).with_name("driver.sql")
_API = "anon, authenticated, service_role"
_OVERRIDE = """
insert into ops.wedding_lock_overrides (wedding_id, reason, until, set_by, set_at)
values (gen_random_uuid(), 'a row to be hidden', '2099-01-02', 'nobody', '2099-01-01')"""
_NAMES = {row.id: str(row) for those in ROWS.values() for row in those}


@dataclass(frozen=True)
class Matrix:
    """A superuser's session with a database in which the rows lie and the cases wait to be run."""

    connection: psycopg.Connection
    structure: Structure
    cases: Sequence[Case]

    @property
    def tables(self) -> tuple[str, ...]:
        """All that the cases are about."""
        return tuple(dict.fromkeys(case.table for case in self.cases))

    def failures(self, table: str, layer: str, *, only_first: bool = False) -> list[str]:
        """The cases of a table whose outcome is another than expected; nothing is left of what they did."""
        with self.connection.transaction(force_rollback=True):
            _complete_the_roles(self.connection)
            if layer == UNGRANTED:
                name = qualified(table)
                self.connection.execute(f"grant usage on schema {name.split('.')[0]} to {_API}")
                self.connection.execute(f"grant all on {name} to {_API}")
            found = self.connection.execute(
                "select * from pg_temp.failures(%s, %s, %s)", [qualified(table), layer, only_first]
            ).fetchall()
        return [describe(self.cases[n], got) for n, got in found]


@contextmanager
def open_matrix(cluster: Cluster) -> Iterator[Matrix]:
    """Deploy all migrations as an ordinary owner, lay the rows and load the cases."""
    with owned_database(cluster) as address:
        with session(address, "test-deploy") as deployer:
            for folder in MIGRATIONS:
                run(deployer, folder, "deploy")
        with session(cluster.address(address.dbname), "test", statement_timeout_ms=0) as connection:
            structure = read_structure(connection)
            lay(connection)
            cases = every_case(structure)
            load(connection, cases)
            yield Matrix(connection, structure, cases)


def _complete_the_roles(connection: psycopg.Connection) -> None:
    """What a superuser has to do where the deployer could not: up to 15 only a superuser may."""
    if not connection.execute("select rolbypassrls from pg_roles where rolname = 'service_role'").fetchone()[0]:
        connection.execute("alter role service_role bypassrls")


def lay(connection: psycopg.Connection) -> None:
    """Lay all rows in one transaction, past triggers: some stand in states that no statement leads to."""
    with connection.transaction():
        connection.execute("set local session_replication_role = replica")
        connection.execute("select audit.ensure_partitions('2099-06-01', 1)")
        connection.execute(_OVERRIDE)
        for table in TABLES:
            for row in ROWS[table]:
                names, values = ", ".join(f'"{name}"' for name in row.values), map(literal, row.values.values())
                connection.execute(f"insert into {qualified(table)} ({names}) values ({', '.join(values)})")
    connection.execute("analyze")


def load(connection: psycopg.Connection, cases: Sequence[Case]) -> None:
    """Bring the driver and the cases into the session."""
    connection.execute(_DRIVER.read_text())
    with connection.cursor().copy("copy cases from stdin") as copy:
        for n, case in enumerate(cases):
            copy.write_row((
                n, qualified(case.table), case.layer, case.actor.role, case.actor.claims, case.replica, case.kind,
                case.statement, case.expected,
            ))  # fmt: skip
    with connection.cursor().copy("copy laid from stdin") as copy:
        for table, those in ROWS.items():
            for row in those:
                copy.write_row((qualified(table), row.id))
    connection.execute("analyze cases, laid")


def describe(case: Case, got: str) -> str:
    """One line for people, with rows by their names."""
    what = " ".join(filter(None, [case.table, case.operation, case.situation]))
    return f"{case.actor.name}: {what} ({case.layer}): expected {_named(case.expected)}, got {_named(got)}"


def _named(outcome: str) -> str:
    kind, _, ids = outcome.partition(" ")
    if kind != "rows":
        return outcome
    return ", ".join(_NAMES.get(each, each) for each in ids.split(",")) if ids else "no rows"
