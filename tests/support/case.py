"""A target of our own for a flow test: a database of an ordinary role, a folder of migrations, a settings file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from wedsync_db.installation import Installation
from wedsync_db.postgres.cluster import Cluster
from wedsync_db.postgres.session import Address, session

NAMES = ("case", "case_each")  # atomic = "deployment" and atomic = "migration"
URL_VARIABLE = "WEDSYNC_CASE_URL"
ROLE, PASSWORD = "case_deployer", "not-a-secret-5f1c"


@dataclass(frozen=True)
class Case:
    """`folder` holds environments.toml and migrations/; `address` logs in as the deployer, `admin` as superuser."""

    folder: Path
    address: Address
    admin: Address
    installation: Installation

    def migration(
        self, name: str, deploy: str, revert: str | None = "", verify: str | None = None, **more: str
    ) -> Path:
        """Write a migration's folder; `revert=None` leaves the script away."""
        path = self.folder / "migrations" / name
        path.mkdir(parents=True, exist_ok=True)
        files = {"deploy": deploy, "revert": revert, "verify": verify, **more}
        for kind, text in files.items():
            if text is not None:
                (path / f"{kind}.sql").write_text(text + "\n")
        return path

    def remove(self, name: str) -> None:
        """Take a migration's folder away."""
        shutil.rmtree(self.folder / "migrations" / name)

    def rows(self, statement: str) -> list[tuple]:
        """Ask the target, as superuser."""
        with session(self.admin, "test") as connection:
            return connection.execute(statement).fetchall()


def write_settings(folder: Path, more: str = "", locks: str = "") -> Path:
    """An environments.toml with both names on one database; `more` goes into each, `locks` into its locks."""
    text = ""
    for name in NAMES:
        atomic = "migration" if name.endswith("each") else "deployment"
        text += (
            f'[environments.{name}]\nurl_env = "{URL_VARIABLE}"\nmigrations = "migrations"\nallow_data_copy = true\n'
            f'atomic = "{atomic}"\n{more}\n[environments.{name}.guard]\nfreeze = "off"\nfree_disk_factor = 0.1\n'
            f"[environments.{name}.locks]\n{locks}\n"
        )
    path = folder / "environments.toml"
    path.write_text(text)
    return path


def url(address: Address) -> str:
    """The address as a URL with its password, for the environment variable."""
    return f"postgresql://{address.user}:{address.password}@/{address.dbname}?host={address.host}&port={address.port}"


@contextmanager
def database(
    cluster: Cluster, name: str, template: str = "template1", role: str = ROLE, password: str = PASSWORD
) -> Iterator[Address]:
    """A database owned by the ordinary deployer role, gone afterwards."""
    with session(cluster.address(), "test-admin", statement_timeout_ms=0) as admin:
        admin.execute(
            "do $$ begin "
            f"create role {role} login createrole bypassrls password '{password}'; "
            "exception when duplicate_object or unique_violation then null; end $$"
        )
        admin.execute(f"grant pg_read_all_stats to {role}")  # as the documentation asks for: nothing hidden
        create = sql.SQL("create database {} owner {} template {}")
        admin.execute(create.format(*map(sql.Identifier, (name, role, template))))
    with session(cluster.address(name), "test-admin") as admin:
        admin.execute(f"alter schema public owner to {role}")
    try:
        yield Address(str(cluster.socket), cluster.port, name, role, password)
    finally:
        with session(cluster.address(), "test-admin", statement_timeout_ms=0) as admin:
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@contextmanager
def may_create_databases(cluster: Cluster) -> Iterator[None]:
    """Let the deployer create databases, as a load test has to; not for longer, as other tests share the role."""
    with session(cluster.address(), "test-admin") as admin:
        admin.execute(f"alter role {ROLE} createdb")
    try:
        yield
    finally:
        with session(cluster.address(), "test-admin") as admin:
            admin.execute(f"alter role {ROLE} nocreatedb")


def environ_of(case_folder: Path, home: Path, address: Address) -> Mapping[str, str]:
    """The variables a process needs to work on the case."""
    return {
        "WEDSYNC_ENVIRONMENTS": str(case_folder / "environments.toml"),
        "WEDSYNC_HOME": str(home),
        URL_VARIABLE: url(address),
    }
