"""The scripts of a whole group in few round trips: what makes a thousand small migrations as quick as psql.

Each statement still travels alone and has its own result, in order, so that the first failure is known exactly. Only
the answer comes late: statements behind a verify script that says no have run, and are rolled back with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psycopg
from psycopg.pq.abc import PGresult

from wedsync_db.errors import MigrationFailed, VerifyFailed
from wedsync_db.migrate.execute import require_yes
from wedsync_db.migrate.explain import explain
from wedsync_db.migrate.groups import Group
from wedsync_db.migrate.run import resets
from wedsync_db.model import Migration, Script, Statement
from wedsync_db.postgres.pipeline import execute_all, failure
from wedsync_db.postgres.session import Address

_MESSAGES = 2_000  # in flight at once: bounds what both sides buffer
# A server that waits in a statement takes in no more than its socket holds; what does not fit would stay unacknowledged
# until the session is taken for dead. So much fits into any, with what the protocol wraps around a statement.
_BYTES, _WRAPPING = 32_768, 64
# these run nobody's code, so no setting can leak out of them; of CREATE INDEX the server takes settings back itself
_SETS_NOTHING = frozenset({"CreateStmt", "IndexStmt", "CommentStmt", "GrantStmt", "CreatePolicyStmt", "ViewStmt",
                           "CreateTrigStmt", "CreateFunctionStmt", "CreateEnumStmt", "DropStmt"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """A statement to be sent by itself."""

    sql: str
    place: tuple[Script, Statement] | None = None  # None: a statement of ours
    asks: bool = False  # of a verify script: its answer counts


def run_batch(connection: psycopg.Connection, group: Group, address: Address) -> None:
    """Run deploy and verify scripts of a group in the transaction that is open, each with the session's own settings.

    Raises:
        MigrationFailed: the first statement that failed.
        VerifyFailed: the first that said no.
        LockTimeout: a statement did not get its lock within lock_timeout.
    """
    after_each = tuple(Message(text) for text in resets(address))
    messages = (message for m in group for message in _messages(m, after_each))
    for batch in batches(messages):
        results = execute_all(connection, [m.sql for m in batch])
        for message, result in zip(batch, results, strict=False):  # the results end with a failure
            _judge(connection, message, result)


def batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """The messages in order, in lots that may be in flight at once; one that is too long by itself goes alone."""
    batch: list[Message] = []
    size = 0
    for message in messages:
        length = len(message.sql.encode()) + _WRAPPING
        if batch and (size + length > _BYTES or len(batch) == _MESSAGES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


def _messages(migration: Migration, after_each: tuple[Message, ...]) -> Iterator[Message]:
    deploy, verify = migration.deploy, migration.verify
    yield from (Message(s.sql, (deploy, s)) for s in deploy.statements)
    if any(s.kind not in _SETS_NOTHING for s in deploy.statements):
        yield from after_each
    if verify is not None:
        yield Message("savepoint verify")
        yield from (Message(s.sql, (verify, s), asks=True) for s in verify.statements)
        yield Message("rollback to savepoint verify")
        yield Message("release savepoint verify")


def _judge(connection: psycopg.Connection, message: Message, result: PGresult) -> None:
    error = failure(connection, result)
    if message.place is None:
        if error:
            raise error
        return
    if error:
        raise explain(error, *message.place, VerifyFailed if message.asks else MigrationFailed)
    if message.asks:
        require_yes(result, *message.place)
