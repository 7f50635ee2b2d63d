"""The name of a load test's database, how it is known for one of ours, and how one that was left behind goes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import psycopg
from psycopg import sql

from wedsync_db.errors import Refused
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session

_MARK = "wedsync-db load test: dropped by the next one"
_SUFFIX = "_load"
_NAME_BYTES = 63
# A database has this from the moment it is made, and a comment only afterwards: whoever is killed between the two would
# leave one that nobody dares to drop. As a limit it is none.
_MARKED_LIMIT = 1_007_357


def beside(target: Address, *, before: bool = False) -> Address:
    """Where the load tests of a target have their database; the one without a migration where two are compared."""
    suffix = f"{_SUFFIX}_before" if before else _SUFFIX
    return target.with_database(f"{target.dbname[: _NAME_BYTES - len(suffix)]}{suffix}")


def create(connection: psycopg.Connection, dbname: str) -> None:
    """Make the database, marked as ours.

    Raises:
        psycopg.Error: it is there, or the role may not.
    """
    name = sql.Identifier(dbname)
    made = sql.SQL("create database {} template template0 connection limit {}")
    connection.execute(made.format(name, sql.Literal(_MARKED_LIMIT)))
    connection.execute(sql.SQL("comment on database {} is {}").format(name, sql.Literal(_MARK)))


def drop(connection: psycopg.Connection, dbname: str) -> None:
    """Drop the database, with whoever is in it."""
    connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(dbname)))


def drop_left(connection: psycopg.Connection, dbname: str) -> bool:
    """Drop what a killed load test left; whether there was something. Call it under the target's lock.

    Raises:
        Refused: there is a database of that name, and it is none of ours.
    """
    row = connection.execute(query("load_leftover", "mark"), {"name": dbname}).fetchone()
    if row is None:
        return False
    said, limit = row
    if said != _MARK and not (said is None and limit == _MARKED_LIMIT):
        raise Refused(f"there is a database {dbname}, and no load test made it", hint="Rename it, or drop it yourself.")
    drop(connection, dbname)
    return True


def sweep(target: Address) -> Sequence[str]:
    """Drop what a killed load test of this target left; the names, where there was something.

    A database of that name that is somebody's stays: only a load test needs the name. Call it under the target's lock.

    Raises:
        Unreachable: no session could be opened.
        psycopg.Error: it cannot be dropped.
    """
    dropped = []
    with session(target, "maintenance", statement_timeout_ms=0) as connection:
        for dbname in (beside(target).dbname, beside(target, before=True).dbname):
            with suppress(Refused):
                dropped += [dbname] if drop_left(connection, dbname) else []
    return dropped
