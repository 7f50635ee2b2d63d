"""Why a session could not be opened, or was lost: one line and a hint for each cause one can do something about.

libpq hands out no SQLSTATE and no fields for a failed login, only text. The server's English messages are looked for in
it; another language of lc_messages gets the server's own line with the general hint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg

from wedsync_db.errors import Refused, Unreachable, WedsyncError
from wedsync_db.redact import redact

POOLED_HINT = (
    "A session through a pooler loses locks, settings and cancellation: give the server's own address "
    "(with Supabase the direct connection, not port 6543)"
)
LOST_HINT = "Did the server stop, or does something on the way end connections? The server's log tells."
# connection exceptions, and the server ending a session because it stops, starts or crashed
_LOST = ("08", "57P01", "57P02", "57P03")
_GENERAL_HINT = "Is the server running, and are host, port, user and password right?"


@dataclass(frozen=True, slots=True)
class _Cause:
    """SQLSTATE as the server's log has it, 08001 and 08006 for the network; none where trying again is of no use."""

    pattern: re.Pattern[str]
    sqlstate: str | None
    hint: str
    kind: type[WedsyncError] = Unreachable


def _cause(pattern: str, sqlstate: str | None, hint: str, kind: type[WedsyncError] = Unreachable) -> _Cause:
    return _Cause(re.compile(pattern, re.IGNORECASE), sqlstate, hint, kind)


_CAUSES = (
    _cause("unsupported startup parameter", None, POOLED_HINT, Refused),
    _cause(
        'unrecognized configuration parameter "client_connection_check_interval"',
        None,
        "The server is older than PostgreSQL 14; 15 to 18 are supported",
        Refused,
    ),
    _cause("no password supplied", "28P01", "The server asks for a password: put one into the URL or a PGPASSFILE"),
    _cause(
        "password authentication failed",
        "28P01",
        "The password is wrong or expired, or there is no such role: the server does not say which",
    ),
    _cause(
        "(peer|ident) authentication failed",
        "28000",
        "The server wants the operating-system user to fit the role: run as that user, or use a role with a password",
    ),
    _cause("not permitted to log in", "28000", "Use a role that may log in, or: alter role … login"),
    _cause('role ".*" does not exist', "28000", "Is the user in the URL right? Otherwise create the role"),
    _cause(
        "no pg_hba.conf entry.*no encryption",
        "28000",
        "The server lets nobody in from here without encryption: add sslmode=verify-full, or see its pg_hba.conf",
    ),
    _cause("pg_hba.conf", "28000", "The server's pg_hba.conf does not let this user into this database from here"),
    _cause(
        'database ".*" does not exist|no such database',
        "3D000",
        "Is the database in the URL right? Otherwise create it",
    ),
    _cause("not currently accepting connections", "55000", "alter database … allow_connections true"),
    _cause("permission denied for database", "42501", "grant connect on database … to the role"),
    _cause(
        "too many (clients|connections)|connection slots are reserved|no more connections allowed",
        "53300",
        "Close sessions that are idle, or raise the limit of the server, the database or the role",
    ),
    _cause(
        "starting up|shutting down|in recovery mode|not yet accepting connections|is not accepting connections",
        "57P03",
        "The server is on its way up or down: try again in a moment",
    ),
    _cause("does not support SSL", None, "The URL asks for TLS and the server has none: switch it on there (ssl = on)"),
    _cause(
        "certificate|SSL error",
        None,
        "Is sslrootcert the authority that signed the server's certificate, and is the host's name in it?",
    ),
    _cause(
        "timeout expired|timed out",
        "08001",
        "Nothing answers there: is the host right, does a firewall let us through?",
    ),
    _cause(
        "resolve host|translate host|name or service not known", "08001", "No address is known for this host's name"
    ),
    _cause("network is unreachable|no route to host", "08001", "There is no way to that address from here"),
    _cause(
        "connection refused|no such file or directory",
        "08001",
        "Nothing listens there: is it running, is the port right?",
    ),
    _cause("permission denied", None, "The operating-system user may not use that socket"),
    _cause("closed the connection|connection reset", "08006", "The server ended it while logging in: its log says why"),
)


def explain(text: str, where: str) -> WedsyncError:
    """What libpq or the server said, as an error of ours; `where` names the server without its password."""
    line = redact(_first_line(text))
    for cause in _CAUSES:
        if cause.pattern.search(text):
            return cause.kind(f"no session with {where}: {line}", hint=cause.hint, sqlstate=cause.sqlstate)
    return Unreachable(f"no session with {where}: {line}", hint=_GENERAL_HINT)


def session_lost(error: Exception) -> Unreachable | None:
    """A session that ended under its owner, as an error of ours; None for an error that is none of that."""
    if not isinstance(error, psycopg.OperationalError):
        return None
    state = error.sqlstate
    if state is not None and not state.startswith(_LOST):
        return None
    return Unreachable("the session with the server was lost", hint=LOST_HINT, sqlstate=state or "08006")


def _first_line(text: str) -> str:
    """The server's own first line, without the connection details libpq puts before it."""
    first = next(iter(text.strip().splitlines()), "unknown error")
    return re.split(r"FATAL: +| failed: |connection is bad: ", first)[-1].strip() or first
