"""Lays the rows, runs the cases inside the server, and says in words what came otherwise than expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.access.attempt import Case, literal
from tests.access.cases import every_case
from tests.access.oracle import UNGRANTED
from tests.access.rows import ROWS
from tests.access.structure import Structure, read_structure
from tests.support.schema import MIGRATIONS, owned_database, run
from wedsync_db.postgres.cluster import Cluster
from wedsync_db.postgres.session import session

_DRIVER = Path(__file__).with_name("driver.sql")
_NAMES = {row.id: str(row) for those in ROWS.values() for row in those}


@dataclass(frozen=True)
class Matrix:
    """A session with a database in which the rows lie and the cases wait to be run."""

    connection: psycopg.Connection
    structure: Structure
    cases: Sequence[Case]

    def failures(self, table: str, layer: str, *, only_first: bool = False) -> list[str]:
        """The cases of a table whose outcome is another than expected; the transaction goes on unchanged."""
        with self.connection.transaction(force_rollback=True):
            if layer == UNGRANTED:
                self.connection.execute(f"grant all on public.{table} to anon, authenticated")
            found = self.connection.execute(
                "select * from pg_temp.failures(%s, %s, %s)", [table, layer, only_first]
            ).fetchall()
        return [describe(self.cases[n], got) for n, got in found]


@contextmanager
def open_matrix(cluster: Cluster) -> Iterator[Matrix]:
    """Deploy all migrations as an ordinary owner, lay the rows, and open a superuser's transaction around the cases."""
    with owned_database(cluster) as address:
        with session(address, "test-deploy") as deployer:
            for folder in MIGRATIONS:
                run(deployer, folder, "deploy")
        with session(cluster.address(address.dbname), "test", statement_timeout_ms=0) as connection:
            structure = read_structure(connection)
            lay(connection, structure)
            with connection.transaction(force_rollback=True):
                _complete_the_roles(connection)
                cases = every_case(structure)
                load(connection, cases, structure)
                yield Matrix(connection, structure, cases)


def _complete_the_roles(connection: psycopg.Connection) -> None:
    """What a superuser has to do where the deployer could not: up to 15 only a superuser may."""
    if not connection.execute("select rolbypassrls from pg_roles where rolname = 'service_role'").fetchone()[0]:
        connection.execute("alter role service_role bypassrls")


def lay(connection: psycopg.Connection, structure: Structure) -> None:
    """Lay all rows in one transaction, past triggers: some stand in states that no statement leads to."""
    with connection.transaction():
        connection.execute("set local session_replication_role = replica")
        for table in structure.columns:
            for row in ROWS.get(table, ()):
                names, values = ", ".join(f'"{name}"' for name in row.values), map(literal, row.values.values())
                connection.execute(f"insert into public.{table} ({names}) values ({', '.join(values)})")
    connection.execute("analyze")


def load(connection: psycopg.Connection, cases: Sequence[Case], structure: Structure) -> None:
    """Bring the driver and the cases into the session."""
    connection.execute(_DRIVER.read_text())
    with connection.cursor().copy("copy cases from stdin") as copy:
        for n, case in enumerate(cases):
            copy.write_row((
                n, case.table, case.layer, case.actor.role, case.actor.claims, case.replica, case.kind,
                case.statement, case.expected,
            ))  # fmt: skip
    with connection.cursor().copy("copy laid from stdin") as copy:
        for table in structure.columns:
            for row in ROWS.get(table, ()):
                copy.write_row((table, row.id))
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
