"""Leaving a statement outside a transaction half done, as a killed runner or an impatient person does."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from wedsync_db.migrate.execute import _NoWatch
from wedsync_db.postgres.session import Address, session


@contextmanager
def holding(address: Address, sql: str, name: str = "holder"):
    """A transaction that has run a statement, and is open while the block lasts."""
    with session(address, name, autocommit=False) as holder:
        holder.execute(sql)
        yield holder
        holder.rollback()


def leave(address: Address, sql: str, in_the_way: str) -> None:
    """Run a CONCURRENTLY that stops half way, as it does not get over somebody's lock."""
    with holding(address, in_the_way), session(address, "person", lock_timeout_ms=100) as person:
        with pytest.raises(psycopg.errors.LockNotAvailable):
            person.execute(sql)


class Begins(_NoWatch):
    """Somebody who takes a lock just when a statement starts, and keeps it while the stack lasts."""

    def __init__(self, stack: ExitStack, address: Address, sql: str) -> None:
        self.stack, self.address, self.sql = stack, address, sql

    def before(self, migration_id, index, statement):
        self.stack.enter_context(holding(self.address, self.sql))
