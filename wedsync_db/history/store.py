"""The history store: a database of its own, so that no restore of a target rewinds what is remembered of it.

Its schema `history` is made and upgraded by the numbered files in sql/history, each part of the program with its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from wedsync_db.errors import Refused
from wedsync_db.postgres.queries import numbered_scripts, query
from wedsync_db.postgres.session import Address, session

_LOCK_TIMEOUT_MS = 5_000


@contextmanager
def open_history(address: Address, purpose: str = "history") -> Iterator[psycopg.Connection]:
    """A session with the history store, its schema up to date.

    Raises:
        Unreachable: the store is not there: go on without it, and say so.
        Refused: a newer program has been here, or this role may not create the schema.
    """
    with session(address, purpose, lock_timeout_ms=_LOCK_TIMEOUT_MS) as connection:
        install(connection)
        yield connection


def install(connection: psycopg.Connection) -> None:
    """Create schema `history` or bring it up to date, in one transaction; several processes may try at once.

    Raises:
        Refused: a newer program has been here, or this role may not create the schema.
    """
    scripts = numbered_scripts("history")
    known = frozenset(number for number, _ in scripts)
    if known <= _installed(connection, known):
        return
    try:
        with connection.transaction():
            connection.execute(query("history", "install_alone"))
            connection.execute(query("history", "create_schema"), prepare=False)
            installed = _installed(connection, known)
            for number, text in scripts:  # each part of the program has its numbers: a lower one may come later
                if number not in installed:
                    connection.execute(text, prepare=False)
                    connection.execute(query("history", "record_version"), [number])
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            f"schema history cannot be created: {error.diag.message_primary}",
            hint="The history store's role needs CREATE on its database.",
            sqlstate=error.sqlstate,
        ) from None


def _installed(connection: psycopg.Connection, known: frozenset[int]) -> frozenset[int]:
    present = connection.execute(query("history", "has_version")).fetchone()
    if not present or not present[0]:
        return frozenset()
    installed = frozenset(number for (number,) in connection.execute(query("history", "versions")))
    if installed - known:
        raise Refused(
            f"the history store is of version {max(installed)}, newer than this program knows ({max(known)})",
            hint="Use the newer version of wedsync-db that was used here before.",
        )
    return installed
