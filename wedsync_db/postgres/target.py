"""Opening an environment's database: the one place where a name becomes an address with its secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from psycopg import sql

from wedsync_db.errors import Refused, UsageError
from wedsync_db.home import Home
from wedsync_db.postgres.cluster import DEPLOYER, Cluster, embedded, embedded_exists
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.postgres.url import address_from_url, require_tls
from wedsync_db.settings import Environment

_SUPABASE_POOLER_PORT = "6543"


@contextmanager
def open_target(
    environment: Environment, home: Home, environ: Mapping[str, str], *, create: bool = False
) -> Iterator[Address]:
    """The address of an environment's database, its server running for as long as the block lasts.

    `create` makes the embedded server and database where they are missing; a database behind a URL is never made.

    Raises:
        Refused: the environment does not exist yet, or its address is not safe enough for it.
        UsageError: the variable with the URL is missing or wrong.
        WedsyncError: the embedded server does not start.
    """
    if environment.embedded_major is None:
        yield replace(_remote(environment, environ), role=environment.role)
        return
    if not create and not embedded_exists(home, environment.embedded_major):
        raise _not_there(environment)
    with embedded(home, environment.embedded_major) as cluster:
        yield replace(_local(environment, cluster, create=create), role=environment.role)


def _remote(environment: Environment, environ: Mapping[str, str]) -> Address:
    """The address the variable holds, once it is known to be safe enough."""
    variable = environment.url_env or ""
    url = environ.get(variable)
    if not url:
        raise UsageError(
            f"environment {environment.name} needs the variable {variable}, which is not set",
            hint=f"export {variable}='postgresql://user:password@host:5432/database?sslmode=verify-full'",
        )
    address = address_from_url(url, variable, environ)
    if _SUPABASE_POOLER_PORT in address.parameters.get("port", str(address.port)).split(","):
        raise Refused(
            f"{variable} leads to a transaction pooler (port {_SUPABASE_POOLER_PORT}), which gives no session",
            hint="Use the direct connection or the session pooler, port 5432.",
        )
    return require_tls(address, variable) if environment.require_tls else address


def _local(environment: Environment, cluster: Cluster, *, create: bool) -> Address:
    """The environment's database on the embedded server, where its deployer logs in."""
    database = environment.database or environment.name
    with session(cluster.address(), "open-target", statement_timeout_ms=0) as admin:
        row = admin.execute(query("target", "database_exists"), {"database": database}).fetchone()
        if row is None or not row[0]:
            if not create:
                raise _not_there(environment)
            admin.execute(query("target", "create_deployer"))
            names = sql.Identifier(database), sql.Identifier(DEPLOYER)
            admin.execute(sql.SQL("create database {} owner {}").format(*names))
    return cluster.address(database, DEPLOYER)


def _not_there(environment: Environment) -> Refused:
    return Refused(
        f"environment {environment.name} does not exist yet", hint=f"./dev deploy {environment.name} creates it."
    )
