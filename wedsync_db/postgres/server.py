"""What a server says about itself, and whether we really talk to it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg.rows import tuple_row

from wedsync_db.errors import Refused
from wedsync_db.model import ServerFacts
from wedsync_db.postgres.connect_errors import POOLED_HINT
from wedsync_db.postgres.queries import query
from wedsync_db.settings import SUPPORTED_MAJORS

# the first release of each major in which statistics show no user what is hidden from them (CVE-2025-8713)
_HIDES_STATISTICS = {15: 14, 16: 10, 17: 6}
_ASKED_TWICE = 2  # statements of their own transaction, which a transaction pooler may send to two backends


def server_facts(connection: psycopg.Connection) -> ServerFacts:
    """Version, identity and role of this session.

    Raises:
        Refused: this role may not ask which cluster it is, so that a copy could not be told from the original.
    """
    try:
        rows = connection.cursor(row_factory=tuple_row).execute(query("server", "facts")).fetchall()
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            f"the server does not tell this role which cluster it is: {error.diag.message_primary}",
            hint="grant execute on function pg_control_system(), pg_control_checkpoint() to the role",
            sqlstate=error.sqlstate,
        ) from None
    return ServerFacts(*rows[0])


def require_supported(facts: ServerFacts) -> None:
    """Make sure that this version is one we were tested with.

    Raises:
        Refused: it is not.
    """
    if facts.major not in SUPPORTED_MAJORS:
        raise Refused(
            f"the server is PostgreSQL {facts.major}, {SUPPORTED_MAJORS[0]} to {SUPPORTED_MAJORS[-1]} are supported",
            hint="Upgrade the server" if facts.major < SUPPORTED_MAJORS[0] else "Upgrade wedsync-db",
        )


def needed_release(facts: ServerFacts) -> str | None:
    """The release of the same major that row-level security needs to hide rows, if the server's is older."""
    needed = _HIDES_STATISTICS.get(facts.major, 0)
    return f"{facts.major}.{needed}" if facts.minor < needed else None


def is_pooled(connection: psycopg.Connection) -> bool:
    """Whether a pooler stands between us and the server; ask outside a transaction.

    A pooler makes up the process number it gives at login, so that it differs from the backend's; and a transaction
    pooler may give the next transaction to another backend. (Session pooling counts, too: it answers like this.)
    """
    told = connection.info.backend_pid
    return any(pid != told for pid in _backend_pids(connection))


def lost_settings(connection: psycopg.Connection) -> tuple[str, ...]:
    """The timeouts this session asked for at start-up and did not get, as behind a pooler that ignores them."""
    rows = connection.cursor(row_factory=tuple_row).execute(query("server", "lost_settings"))
    return tuple(name for (name,) in rows)


def require_session(connection: psycopg.Connection) -> int:
    """Make sure that what is locked here stays with us; the number of our process on the server.

    A session pooler that passes our settings on will do, and makes up the number it gives at login. Behind a
    transaction pooler a lock would stay with whichever server session it came to, whoever has that next.

    Raises:
        Refused: a pooler stands between us that gives no session.
    """
    if lost_settings(connection) or len(pids := set(_backend_pids(connection))) > 1:
        raise Refused("a pooler stands between us and the server, and gives no session to lock in", hint=POOLED_HINT)
    return pids.pop()


def _backend_pids(connection: psycopg.Connection) -> Iterator[int]:
    cursor = connection.cursor(row_factory=tuple_row)
    for _ in range(_ASKED_TWICE):
        yield from (pid for (pid,) in cursor.execute(query("server", "backend_pid")))
