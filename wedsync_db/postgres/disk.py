"""How much room a server's data folder has: only for a server on this machine that says where it keeps its data."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psycopg

from wedsync_db.postgres.queries import query

ELSEWHERE = "the server is elsewhere: watch its disk there"


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of the file system with the data folder: what is free for the server's account, and all of it."""

    free: int
    total: int


def data_room(connection: psycopg.Connection) -> tuple[Room | None, str]:
    """The room there is, or None and why that is not known."""
    if not connection.info.host.startswith("/"):
        return None, ELSEWHERE
    row = connection.execute(query("health", "data_folder"), {}).fetchone()
    if not row or not row[0]:
        return None, "this role is not told where the data is: grant pg_read_all_settings to it"
    try:
        where = os.statvfs(row[0])
    except OSError as error:
        return None, f"its folder cannot be looked at: {error.strerror}"
    return Room(where.f_bavail * where.f_frsize, where.f_blocks * where.f_frsize), ""
