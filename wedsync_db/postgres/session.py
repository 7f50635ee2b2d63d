"""Sessions with a server: every one named, bounded in time, and cancelled on the server when its client is interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from wedsync_db.errors import Unreachable

CONNECT_TIMEOUT_SECONDS = 10
_CANCEL_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is and how to log in. Printing one never shows the password.

    `role` is assumed with SET ROLE after login; `session_authorization` only on our own scratch servers, so that a
    rehearsal runs with exactly the rights of the deployer.
    """

    host: str
    port: int
    dbname: str
    user: str
    password: str | None = field(default=None, repr=False)
    role: str | None = None
    session_authorization: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)  # sslmode, sslrootcert, …

    def with_database(self, dbname: str) -> Address:
        """The same server and login, another database."""
        return replace(self, dbname=dbname)

    def conninfo(self, **extra: str | int) -> str:
        """The libpq connection string, with the password in it: for psycopg only, never for a process argument or a log."""
        known: dict[str, str | int] = {
            "host": self.host,
            "port": self.port,
            "dbname": self.dbname,
            "user": self.user,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            **self.parameters,
            **extra,
        }
        if self.password is not None:
            known["password"] = self.password
        return make_conninfo("", **known)

    def __str__(self) -> str:
        """For people: `user@host:port/dbname`."""
        return f"{self.user}@{self.host}:{self.port}/{self.dbname}"


@contextmanager
def session(
    address: Address,
    purpose: str,
    *,
    lock_timeout_ms: int = 2_000,
    statement_timeout_ms: int = 30_000,
    autocommit: bool = True,
    settings: Mapping[str, str] | None = None,
) -> Iterator[psycopg.Connection]:
    """Open a session called `wedsync-db/<purpose>` and close it again, whatever happens.

    On any interruption, a signal's exception too, a running statement is cancelled on the server before this returns:
    psycopg does that itself only for KeyboardInterrupt. Zero means no timeout.

    Raises:
        Unreachable: the server cannot be reached or does not let us in.
    """
    connection = connect(
        address,
        purpose,
        lock_timeout_ms=lock_timeout_ms,
        statement_timeout_ms=statement_timeout_ms,
        autocommit=autocommit,
        settings=settings,
    )
    try:
        yield connection
    except BaseException:
        cancel_running(connection)
        raise
    finally:
        connection.close()


def connect(
    address: Address,
    purpose: str,
    *,
    lock_timeout_ms: int,
    statement_timeout_ms: int,
    autocommit: bool = True,
    settings: Mapping[str, str] | None = None,
) -> psycopg.Connection:
    """Open a session without looking after its end; `session` is what you want nearly everywhere.

    Raises:
        Unreachable: the server cannot be reached or does not let us in.
    """
    options = {
        "client_connection_check_interval": "1000",  # ms; ends the backend of a client that was killed
        "lock_timeout": str(lock_timeout_ms),
        "statement_timeout": str(statement_timeout_ms),
        **(settings or {}),
    }
    packed = " ".join(f"-c {name}={_escape(value)}" for name, value in options.items())
    conninfo = address.conninfo(application_name=f"wedsync-db/{purpose}", options=packed)
    try:
        connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise Unreachable(
            f"no session with {address}: {_first_line(error)}",
            hint="Is the server running, and are host, port, user and password right?",
            sqlstate=error.sqlstate,
        ) from None
    if address.session_authorization:
        connection.execute(sql.SQL("set session authorization {}").format(sql.Identifier(address.session_authorization)))
    if address.role:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(address.role)))
    connection.autocommit = autocommit
    return connection


def cancel_running(connection: psycopg.Connection) -> None:
    """Ask the server to cancel what this session is doing, if it is doing anything. Never raises."""
    if connection.closed or connection.info.transaction_status is not TransactionStatus.ACTIVE:
        return
    try:
        connection.cancel_safe(timeout=_CANCEL_TIMEOUT_SECONDS)
    except psycopg.Error:
        pass  # client_connection_check_interval ends the backend a second after we close


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def _first_line(error: psycopg.Error) -> str:
    """The server's own first line, without the connection details libpq puts before it."""
    text = str(error).strip().splitlines() or ["unknown error"]
    return text[0].rpartition("FATAL:")[2].strip() or text[0]
