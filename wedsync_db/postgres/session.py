"""Sessions with a server: each named, bounded in time, and cancelled on the server when its client is interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from wedsync_db.errors import Unreachable, UsageError
from wedsync_db.postgres.connect_errors import explain
from wedsync_db.redact import redact, register_secret

CONNECT_TIMEOUT_SECONDS = 10
_CANCEL_TIMEOUT_SECONDS = 5.0
# A network that swallows packets ends no session, and without these both sides would wait for hours, the server with
# our locks. A peer whose kernel answers no probe is given up, one that is only busy is not.
SILENCE = {"keepalives": 1, "keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 5}
SERVER_SILENCE = {"tcp_keepalives_idle": "3", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "5"}
# The same for what was sent and is not acknowledged; on Linux these bound both. They also end a session whose peer
# lives and takes nothing in, as a server does that waits for a lock: hence our patience is longer than the server's.
UNACKNOWLEDGED_MS = 30_000
SERVER_UNACKNOWLEDGED_MS = 8_000
# for questions to the catalog: with thousands of tables they look so dear that they are compiled, for a second or more
QUICK = {"jit": "off"}


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
        """The libpq connection string with the password in it: only for psycopg, never for an argument or a log."""
        known: dict[str, str | int] = {
            "host": self.host,
            "port": self.port,
            "dbname": self.dbname,
            "user": self.user,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            **SILENCE,
            "tcp_user_timeout": UNACKNOWLEDGED_MS,
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
        Refused: a pooler answers that takes no settings, or the server is far too old.
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
        Refused: a pooler answers that takes no settings, or the server is far too old.
    """
    options = {
        "client_connection_check_interval": "1000",  # ms; ends the backend of a client that was killed
        **SERVER_SILENCE,
        "tcp_user_timeout": str(SERVER_UNACKNOWLEDGED_MS),
        "lock_timeout": str(lock_timeout_ms),
        "statement_timeout": str(statement_timeout_ms),
        **(settings or {}),
    }
    if address.password:
        register_secret(address.password)
    packed = " ".join(f"-c {name}={_escape(value)}" for name, value in options.items())
    # the URL's own options stay (some providers route by them); ours come last and win
    connection = _open(address, purpose, f"{address.parameters.get('options', '')} {packed}".strip())
    try:
        _become(connection, address)
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def _open(address: Address, purpose: str, options: str) -> psycopg.Connection:
    try:
        conninfo = address.conninfo(application_name=f"wedsync-db/{purpose}", options=options)
        return psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise explain(str(error), str(address)) from None
    except psycopg.ProgrammingError as error:
        raise UsageError(
            f"the address of {address} is not valid: {redact(str(error).strip())}",
            hint="See the URL's part after the ?",
        ) from None


def _become(connection: psycopg.Connection, address: Address) -> None:
    try:
        if address.session_authorization:
            name = sql.Identifier(address.session_authorization)
            connection.execute(sql.SQL("set session authorization {}").format(name))
        if address.role:
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(address.role)))
    except psycopg.Error as error:
        wanted = address.role or address.session_authorization
        raise Unreachable(
            f"{address} cannot act as role {wanted}: {error.diag.message_primary}",
            hint=f"Create the role, or: grant {wanted} to {address.user}",
            sqlstate=error.sqlstate,
        ) from None


def cancel_running(connection: psycopg.Connection) -> None:
    """Ask the server to cancel what this session is doing, if it is doing anything. Never raises."""
    if connection.closed or connection.info.transaction_status is not TransactionStatus.ACTIVE:
        return
    # should it fail, client_connection_check_interval ends the backend a second after we close
    with suppress(psycopg.Error):
        connection.cancel_safe(timeout=_CANCEL_TIMEOUT_SECONDS)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
