"""Ask the admin console of a pgbouncer, which speaks only the simple protocol, and for no longer than allowed.

Columns are read by name: which there are depends on the version.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import psycopg
from psycopg import pq

from wedsync_db.postgres.connect_errors import explain
from wedsync_db.postgres.session import Address
from wedsync_db.redact import register_secret

Said = Literal["answered", "denied", "unreachable", "no pgbouncer"]
Rows = tuple[Mapping[str, str], ...]
CONSOLE = "pgbouncer"  # the database that is none
_CONNECT_SECONDS = 2
_BUDGET_SECONDS = 1.0
_DENIED = re.compile(r"not allowed|authentication failed|no such user|no password|not permitted", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the console said to each question; a question it did not answer is missing, and `problems` say why."""

    said: Said
    tables: Mapping[str, Rows]
    problems: tuple[str, ...] = ()


def ask(address: Address, questions: Iterable[str], budget_seconds: float = _BUDGET_SECONDS) -> Answers:
    """SHOW each of these. Never raises, and never waits longer than two seconds to connect, and the budget."""
    try:
        connection = _connected(address)
    except psycopg.Error as error:
        said: Said = "denied" if _DENIED.search(str(error)) else "unreachable"
        hint = ": name its user in stats_users" if said == "denied" else ""
        console = replace(address, dbname=CONSOLE)
        return Answers(said, {}, (f"pooler: {explain(str(error), str(console)).message}{hint}",))
    try:
        return _asked(connection.pgconn, questions, time.monotonic() + budget_seconds)
    finally:
        connection.close()


@contextmanager
def asking(address: Address) -> Iterator[Callable[[str], Rows | None]]:
    """SHOW this, over one session again and again; None where it did not answer in time, or is gone. Never raises."""
    try:
        connection = _connected(address)
    except psycopg.Error:
        yield lambda _: None
        return

    def answer(question: str) -> Rows | None:
        try:
            return _rows(connection.pgconn, question, time.monotonic() + _BUDGET_SECONDS)
        except (_UnansweredError, TimeoutError, psycopg.Error):
            return None

    try:
        yield answer
    finally:
        connection.close()


def _connected(address: Address) -> psycopg.Connection:
    if address.password:
        register_secret(address.password)
    console = replace(address, dbname=CONSOLE)
    info = console.conninfo(application_name="wedsync-db/collect", connect_timeout=_CONNECT_SECONDS)
    return psycopg.connect(info, autocommit=True, prepare_threshold=None)


def _asked(connection: pq.abc.PGconn, questions: Iterable[str], deadline: float) -> Answers:
    tables, problems = dict[str, Rows](), []
    try:
        version = _rows(connection, "version", deadline)
        if not version or not version[0].get("version", "").lower().startswith(CONSOLE):
            raise _UnansweredError  # noqa: TRY301 - both mean that something else answers there
    except _UnansweredError:
        return Answers("no pgbouncer", {}, ("pooler: what answers there is no pgbouncer",))
    except (TimeoutError, psycopg.Error):
        return Answers("unreachable", {}, (_silent("version"),))
    tables["version"] = version
    for question in questions:
        try:
            tables[question] = _rows(connection, question, deadline)
        except _UnansweredError:
            problems.append(f"pooler: this user may not ask for {question}, or this version does not know it")
        except (TimeoutError, psycopg.Error):
            problems.append(_silent(question))
            break
    return Answers("answered", tables, tuple(problems))


class _UnansweredError(Exception):
    """It answered with an error."""


def _rows(connection: pq.abc.PGconn, question: str, deadline: float) -> Rows:
    """The table it shows.

    Raises:
        _UnansweredError: it says no.
        TimeoutError: it says nothing before the deadline.
        OperationalError: it went away.
    """
    connection.send_query(f"show {question}".encode())
    found: Rows | None = ()
    while True:
        while connection.is_busy():
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([connection.socket], [], [], left)[0]:
                raise TimeoutError
            connection.consume_input()
        result = connection.get_result()
        if result is None:
            break
        found = _table(result) if result.status == pq.ExecStatus.TUPLES_OK else None
    if found is None:
        raise _UnansweredError
    return found


def _table(result: pq.abc.PGresult) -> Rows:
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    return tuple(
        {name: (result.get_value(row, column) or b"").decode(errors="replace") for column, name in enumerate(names)}
        for row in range(result.ntuples)
    )


def _silent(question: str) -> str:
    return f"pooler: it does not answer to {question}"
