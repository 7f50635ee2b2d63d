"""The scripts of a whole group in few round trips: what makes a thousand small migrations as quick as psql.

Each statement still travels alone and has its own result, in order, so that the first failure is known exactly. Only
the answer comes late: statements behind a verify script that says no have run, and are rolled back with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

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
# these run nobody's code, so no setting can leak out of them; of CREATE INDEX the server takes settings back itself
_SETS_NOTHING = frozenset({"CreateStmt", "IndexStmt", "CommentStmt", "GrantStmt", "CreatePolicyStmt", "ViewStmt",
                           "CreateTrigStmt", "CreateFunctionStmt", "CreateEnumStmt", "DropStmt"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Message:
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
    after_each = tuple(_Message(text) for text in resets(address))
    messages = (message for m in group for message in _messages(m, after_each))
    while batch := list(islice(messages, _MESSAGES)):
        results = execute_all(connection, [m.sql for m in batch])
        for message, result in zip(batch, results, strict=False):  # the results end with a failure
            _judge(connection, message, result)


def _messages(migration: Migration, after_each: tuple[_Message, ...]) -> Iterator[_Message]:
    deploy, verify = migration.deploy, migration.verify
    yield from (_Message(s.sql, (deploy, s)) for s in deploy.statements)
    if any(s.kind not in _SETS_NOTHING for s in deploy.statements):
        yield from after_each
    if verify is not None:
        yield _Message("savepoint verify")
        yield from (_Message(s.sql, (verify, s), asks=True) for s in verify.statements)
        yield _Message("rollback to savepoint verify")
        yield _Message("release savepoint verify")


def _judge(connection: psycopg.Connection, message: _Message, result: PGresult) -> None:
    error = failure(connection, result)
    if message.place is None:
        if error:
            raise error
        return
    if error:
        raise explain(error, *message.place, VerifyFailed if message.asks else MigrationFailed)
    if message.asks:
        require_yes(result, *message.place)
