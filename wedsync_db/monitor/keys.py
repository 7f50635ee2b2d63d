"""How much of each key's range is used up.

Reading a sequence takes a lock on it for as long as the statement lasts. A thousand in one statement would fill the
server's table of locks, for everybody: they are read a few hundred at a time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from wedsync_db.postgres.queries import query

_AT_ONCE = 200
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class _Key:
    oid: int
    name: str
    type: str
    largest: float


def used_up(connection: psycopg.Connection, deadline: float) -> list[tuple[str, float | None, str]]:
    """The keys that are used up most: name, share of the range and evidence; a row for those that nobody could read.

    Args:
        connection: An autocommit session, so that each statement lets go of its locks.
        deadline: By the monotonic clock: what is not read by then is told as unread.
    """
    keys = [_Key(*row) for row in connection.execute(query("health", "keys"), {}).fetchall()]
    shares, hidden, unread = list[tuple[float, _Key]](), 0, 0
    for some in (keys[first : first + _AT_ONCE] for first in range(0, len(keys), _AT_ONCE)):
        if time.monotonic() > deadline:
            unread += len(some)
            continue
        for key, (last,) in zip(some, _last_values(connection, some), strict=True):
            if last is None:
                hidden += 1
            else:
                shares.append((last / key.largest, key))
    shares.sort(key=lambda one: -one[0])
    told = [(key.name, share, f"{key.name} of type {key.type}") for share, key in shares[:_MOST_TOLD]]
    return (
        told
        + _not_read(hidden, "may not be read: grant select on them to this role")
        + _not_read(unread, "were not read: there was no time left")
    )


def _last_values(connection: psycopg.Connection, keys: Sequence[_Key]) -> list[tuple[Any, ...]]:
    oids = [key.oid for key in keys]
    return connection.execute(query("health", "last_values"), {"sequences": oids}).fetchall()


def _not_read(count: int, why: str) -> list[tuple[str, float | None, str]]:
    return [("unreadable", None, f"{count} sequences {why}")] if count else []
