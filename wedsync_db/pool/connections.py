"""The connections of a pool: how they are opened, found to be alive, and cleaned for the next borrower."""

from __future__ import annotations

import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, tuple_row
from psycopg.transaction import Transaction

from wedsync_db.postgres.connect_errors import explain
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.server import is_pooled
from wedsync_db.postgres.session import SERVER_SILENCE, SERVER_UNACKNOWLEDGED_MS, Address
from wedsync_db.redact import register_secret

Connection = psycopg.Connection[TupleRow]
PREPARE_AFTER = 5  # the same statement so many times within one borrow: psycopg's own default


class ThroughPooler(psycopg.Connection[TupleRow]):
    """A connection behind a transaction pooler: what a transaction set goes away in the message that ends it.

    The next transaction may get another server session, and somebody else this one: a second message would clean the
    wrong one. For the same reason there is no autocommit here.
    """

    _cleaning = b""

    def remember(self) -> None:
        """Note how the session is called, as cleaning takes that away, too; before anybody has it."""
        names = ("application_name", "client_encoding")
        values = {name: sql.Literal(self.info.parameter_status(name)) for name in names}
        keeping = sql.SQL(query("pool", "keep_names")).format(**values).as_string(self)
        self._cleaning = f"{query('pool', 'clean_up')}; {keeping}".encode()

    def commit(self) -> None:
        """Commit, and leave nothing behind."""
        self._end(b"commit")

    def rollback(self) -> None:
        """Roll back, and leave nothing behind: what was not part of the transaction goes, too."""
        self._end(b"rollback")

    @contextmanager
    def transaction(self, savepoint_name: str | None = None, force_rollback: bool = False) -> Iterator[Transaction]:
        """The outermost block, too, ends by `commit` or `rollback`: inside it is a savepoint."""
        outermost = self.info.transaction_status is TransactionStatus.IDLE
        if outermost:
            self.execute("")  # which begins
        try:
            with super().transaction(savepoint_name, force_rollback) as block:
                yield block
        except BaseException:
            if outermost and not self.closed:
                self.rollback()
            raise
        if outermost:
            self.commit()

    def set_autocommit(self, value: bool) -> None:
        """Refused: each statement would leave what it set on a server session that is somebody else's next."""
        if value:
            raise psycopg.NotSupportedError("no autocommit behind a transaction pooler: use transactions")
        super().set_autocommit(value)

    def _end(self, how: bytes) -> None:
        if self.info.transaction_status is not TransactionStatus.IDLE:
            self.execute(how + b"; " + self._cleaning)


def stands_behind_a_pooler(address: Address, application: str) -> bool:
    """Whether a pooler answers there; asked with a connection that is closed at once.

    Raises:
        Unreachable: nobody answers, or does not let us in.
    """
    try:
        with psycopg.connect(plain(address, application), autocommit=True, prepare_threshold=None) as connection:
            return is_pooled(connection)
    except psycopg.OperationalError as error:
        raise explain(str(error), str(address)) from None


def plain(address: Address, application: str) -> str:
    """How to log in with no settings, which a pooler does not take."""
    if address.password:
        register_secret(address.password)
    return address.conninfo(application_name=application)


def with_settings(address: Address, application: str, settings: Mapping[str, str]) -> str:
    """How to log in to the server itself. Settings given at the start are what a reset comes back to."""
    options = {
        "client_connection_check_interval": "1000",
        **SERVER_SILENCE,
        "tcp_user_timeout": str(SERVER_UNACKNOWLEDGED_MS),
        **settings,
    }
    packed = " ".join(f"-c {name}={_escape(value)}" for name, value in options.items())
    own = address.parameters.get("options", "")
    plain(address, application)
    return address.conninfo(application_name=application, options=f"{own} {packed}".strip())


def require_alive(connection: psycopg.Connection[Any]) -> None:
    """Make sure the server did not end this connection while nobody used it, without a round trip: look at its socket.

    Raises:
        OperationalError: it did.
    """
    while select.select([connection.fileno()], [], [], 0)[0]:
        connection.pgconn.consume_input()  # first what the server said, such as why; at the end of the stream it raises


def clean(connection: psycopg.Connection[TupleRow]) -> None:
    """Leave nothing of the borrower: neither on the server, nor in how the connection answers."""
    if connection.closed:
        return
    if not isinstance(connection, ThroughPooler):
        connection.autocommit = True  # or it would begin a transaction first
        connection.execute(query("pool", "clean_up"), prepare=False)
        connection.autocommit = False
        connection.prepare_threshold = PREPARE_AFTER
    else:
        connection.prepare_threshold = None
    connection.isolation_level = connection.read_only = connection.deferrable = None
    connection.row_factory = tuple_row
    connection.cursor_factory = psycopg.Cursor


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
