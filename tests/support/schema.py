"""WedSync's own migrations on a test server, run without the executor: they have to be right by themselves."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.case import ROLE, database
from wedsync_db.installation import CHECKOUT
from wedsync_db.model import Fingerprint
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.cluster import Cluster
from wedsync_db.postgres.parse import parse
from wedsync_db.postgres.session import Address, session

MIGRATIONS = tuple(path.parent for path in sorted((CHECKOUT / "migrations").glob("*/deploy.sql")))
UPTO_WEDDINGS = MIGRATIONS[:4]
API_ROLES = ("anon", "authenticated", "service_role")
_numbers = itertools.count(1)


def tables_of(*folders: Path) -> tuple[str, ...]:
    """The tables of schema public that these migrations make, in the order they make them."""
    made = re.compile(r"^create table public\.(\w+)", re.MULTILINE)
    return tuple(name for folder in folders for name in made.findall((folder / "deploy.sql").read_text()))


TABLES = tables_of(*MIGRATIONS)


def closure(folder: Path) -> tuple[Path, ...]:
    """What this migration requires, directly or not, in order, and itself at the end."""
    header = re.search(r"^-- requires: (.*)$", (folder / "deploy.sql").read_text(), re.MULTILINE)
    named = re.split(r",\s*", header[1]) if header else []
    needed = {path for name in named for path in closure(folder.parent / name)}
    return (*sorted(needed), folder)


@contextmanager
def owned_database(cluster: Cluster) -> Iterator[Address]:
    """A database of an ordinary role that may create roles and bypass row-level security, as Supabase's owner may.

    Where the API's roles are there already, this one gets to be a member, as an operator would do it; said in full, as
    on 16 and later who once made a role is a member that may not become it.
    """
    with database(cluster, f"schema_{os.getpid()}_{next(_numbers)}") as address:
        let_become_api_roles(cluster)
        yield address


def let_become_api_roles(cluster: Cluster) -> None:
    """Make the deployer a member of those of the API's roles that are there already, another test's perhaps."""
    with session(cluster.address(), "test-admin") as admin:
        known = admin.execute("select rolname from pg_roles where rolname = any (%s)", [list(API_ROLES)]).fetchall()
        become = sql.SQL(" with set true" if admin.info.server_version >= 160000 else "")
        for (role,) in known:
            admin.execute(sql.SQL("grant {} to {}{}").format(sql.Identifier(role), sql.Identifier(ROLE), become))


@contextmanager
def owned_schema(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """All migrations, deployed by the ordinary owner; the session is a superuser's, who can become anybody."""
    with owned_database(cluster) as address:
        with session(address, "test") as owner:
            deploy(owner, *MIGRATIONS)
        with session(cluster.address(address.dbname), "test") as connection:
            yield connection


def make_api_roles(cluster: Cluster) -> None:
    """Make the API's roles as somebody else would have, where they are missing."""
    with session(cluster.address(), "test-admin") as admin:
        known = {name for (name,) in admin.execute("select rolname from pg_roles")}
        for role in API_ROLES:
            if role not in known:
                admin.execute(sql.SQL("create role {} nologin noinherit").format(sql.Identifier(role)))


def run(connection: psycopg.Connection, folder: Path, script: str) -> None:
    """Run a script in a transaction of its own; a verify script has to say true and nothing else."""
    path = folder / f"{script}.sql"
    with connection.transaction():
        for statement in parse(path.read_text(), path).statements:
            cursor = connection.execute(statement.sql)
            if script == "verify" and cursor.description:
                rows = cursor.fetchall()
                assert rows == [(True,)], (
                    f"{folder.name}/verify.sql:{statement.line} {cursor.description[0].name}: {rows}"
                )


def deploy(connection: psycopg.Connection, *folders: Path) -> None:
    """Deploy and verify these migrations in order."""
    for folder in folders:
        run(connection, folder, "deploy")
        run(connection, folder, "verify")


def catalog(connection: psycopg.Connection) -> Fingerprint:
    """The fingerprint without the roles themselves: other tests of the same cluster make them, too."""
    taken = fingerprint.take(connection).objects
    return Fingerprint({name: text for name, text in taken.items() if not name.startswith(("role:", "membership:"))})


@contextmanager
def acting_as(connection: psycopg.Connection, user: str | None, role: str = "authenticated") -> Iterator[None]:
    """What the API does for a request of this user; everything done inside is taken back."""
    with connection.transaction(force_rollback=True):
        connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": user})])
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        yield
