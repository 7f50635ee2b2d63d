"""The connections of a pool: found to be alive, and left clean for the next borrower."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import TupleRow, tuple_row
from psycopg.transaction import Transaction

from wedsync_db.postgres.queries import query

PREPARE_AFTER = 5  # the same statement so many times: psycopg's own default


class Connection(psycopg.Connection[TupleRow]):
    """A connection that is lent: what a transaction set goes away in the message that ends it.

    That saves a round trip, and behind a transaction pooler it is the only way: the next transaction may get another
    server session, and somebody else this one, so that a second message would clean the wrong one. For the same reason
    there is no autocommit behind one.
    """

    _behind_pooler = False
    _cleaning = b""
    _blocks = 0
    _clean = False  # whether the last message was one that leaves nothing

    def get_ready(self, *, behind_pooler: bool) -> None:
        """Before anybody has it. Behind a pooler cleaning has to keep how the session is called."""
        self._behind_pooler = behind_pooler
        text = query("pool", "clean_up")
        if behind_pooler:
            names = ("application_name", "client_encoding")
            values = {name: sql.Literal(self.info.parameter_status(name)) for name in names}
            keeping = sql.SQL(query("pool", "keep_names")).format(**values)
            self._cleaning = f"{text}; {keeping.as_string(self)}".encode()
        else:
            self._cleaning = text.encode()

    def commit(self) -> None:
        """Commit, and leave nothing behind."""
        self._end(b"commit")

    def rollback(self) -> None:
        """Roll back, and leave nothing behind: what was not part of the transaction goes, too."""
        self._end(b"rollback")

    @contextmanager
    def transaction(self, savepoint_name: str | None = None, force_rollback: bool = False) -> Iterator[Transaction]:
        """As psycopg's; behind a pooler the outermost block is a savepoint, too, and ends by `commit` or `rollback`."""
        outermost = self._behind_pooler and self.info.transaction_status is TransactionStatus.IDLE
        if outermost:
            self.execute("")  # which begins
        self._blocks += 1
        try:
            with super().transaction(savepoint_name, force_rollback) as block:
                yield block
        except BaseException:
            self._blocks -= 1
            if outermost and not self.closed:
                self.rollback()
            raise
        self._blocks -= 1
        if outermost:
            self.commit()

    def set_autocommit(self, value: bool) -> None:
        """Refused behind a pooler: what a statement sets would stay on a server session that somebody else has next."""
        if value and self._behind_pooler:
            raise psycopg.NotSupportedError("no autocommit behind a transaction pooler: use transactions")
        super().set_autocommit(value)

    def leave_nothing(self) -> None:
        """Be as new for the next borrower, on the server and in how the connection answers.

        Raises:
            psycopg.Error: it cannot be: a statement is running, or the session was lost.
        """
        if self.closed:
            return
        if not (self._clean or self._behind_pooler):  # autocommit, or a COMMIT of the borrower's own
            self.set_autocommit(True)  # or it would begin a transaction first
            self.execute(self._cleaning, prepare=False)
        if self.autocommit:
            self.set_autocommit(False)
        if (self.isolation_level, self.read_only, self.deferrable) != (None, None, None):
            self.isolation_level = self.read_only = self.deferrable = None
        self.prepare_threshold = None if self._behind_pooler else PREPARE_AFTER
        self.row_factory = tuple_row
        self.cursor_factory = psycopg.Cursor

    def _end(self, how: bytes) -> None:
        self._clean = False
        if self.info.transaction_status is TransactionStatus.IDLE:
            return
        if self._blocks:
            raise psycopg.ProgrammingError("a transaction() block ends by itself: no commit or rollback inside")
        if self.pgconn.pipeline_status != PipelineStatus.OFF:
            raise psycopg.NotSupportedError("end the pipeline before the transaction")
        self.execute(how + b"; " + self._cleaning, prepare=False)
        self._clean = True


def require_alive(connection: psycopg.Connection[TupleRow]) -> None:
    """Make sure the server did not end this connection while nobody used it, without a round trip: look at its socket.

    Raises:
        OperationalError: it did.
    """
    while select.select([connection.fileno()], [], [], 0)[0]:
        connection.pgconn.consume_input()  # first what the server said, such as why; at the end of the stream it raises
