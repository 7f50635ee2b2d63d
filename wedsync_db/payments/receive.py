"""From the provider's request to a row: the signature first, then the event, stored and acted on in one transaction."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row, tuple_row

from wedsync_db.errors import Inconclusive, UsageError
from wedsync_db.payments.signature import verify_signature
from wedsync_db.postgres.queries import query
from wedsync_db.redact import register_secret

ATTEMPTS = 3
# a deadlock, a lost race or a lock not to be had: the transaction is undone, and the same again may well succeed
_PASSING = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure, psycopg.errors.LockNotAvailable)
# JSON that Python reads and jsonb does not hold: a NUL character, half of a surrogate pair, a number of 200,000 digits
_NO_JSONB = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, psycopg.errors.StatementTooComplex)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an event: one of the outcomes in docs/payments.md, why, and whether it had been received before."""

    outcome: str
    reason: str | None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class _Event:
    """An event as it is handed to the database; without a key where none could be read."""

    key: str | None
    kind: str | None
    payload: str  # JSON


def receive(
    connection: psycopg.Connection[Any],
    payload: bytes,
    header: str,
    secrets: Sequence[str],
    clock: Callable[[], datetime],
) -> Outcome:
    """Check the signature of a delivery, store its event once and act on it; on return it is committed.

    Answer the provider with a success whatever the outcome is, and with an error for what is raised: it sends the event
    again, which is harmless. `connection` acts as service_role and is in no transaction.

    Raises:
        BadSignature: not from the provider, or too old; no row exists.
        UsageError: there is no secret, or the connection is in a transaction.
        Inconclusive: the locks were not to be had three times.
        psycopg.Error: the server was lost, goes down or takes no writes; nothing was stored.
    """
    for secret in secrets:
        register_secret(secret)  # whatever goes wrong below
    now = clock()
    verify_signature(payload, header, secrets, now)
    if connection.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):  # unknown: closed
        raise UsageError("an event needs a transaction of its own", hint="Commit before receiving it.")
    event = _read(payload)
    try:
        return _store(connection, event, now)
    except _NO_JSONB:
        return _store(connection, _unreadable(payload), now)


def retry(connection: psycopg.Connection[Any], clock: Callable[[], datetime], most: int = 100) -> Mapping[str, Outcome]:
    """Try again up to `most` events that are still waiting; what came of each, by the event's key.

    Raises:
        psycopg.Error: the server was lost or a lock was not to be had; nothing was changed.
    """
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(query("payments", "bound"))
        rows = cursor.execute(query("payments", "retry"), {"at": clock(), "most": most}).fetchall()
    return {key: Outcome(outcome, reason) for key, outcome, reason in rows}


def _read(payload: bytes) -> _Event:
    """The event in a request's body; what is no event keeps its bytes, for a person to look at."""
    try:
        text = payload.decode()
        event = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _unreadable(payload)
    if not isinstance(event, dict):
        return _unreadable(payload)
    return _Event(_text(event.get("id")), _text(event.get("type")), text)


def _store(connection: psycopg.Connection[Any], event: _Event, now: datetime) -> Outcome:
    for _ in range(ATTEMPTS):
        try:
            return _store_once(connection, event, now)
        except _PASSING as error:
            last = error
    raise Inconclusive(
        f"the event was not stored: {last.diag.message_primary}",
        hint="Answer with status 500; the provider sends it again.",
        sqlstate=last.sqlstate,
    )


def _store_once(connection: psycopg.Connection[Any], event: _Event, now: datetime) -> Outcome:
    values = {"event": event.key, "kind": event.kind, "payload": event.payload, "at": now}
    with connection.transaction(), connection.cursor(row_factory=class_row(Outcome)) as cursor:
        cursor.execute(query("payments", "bound"))
        outcome = cursor.execute(query("payments", "receive"), values).fetchall()[0]
    if connection.closed:  # the driver commits nothing then, and says nothing either
        raise psycopg.OperationalError("the connection was closed before the commit")
    return outcome


def _unreadable(payload: bytes) -> _Event:
    return _Event(None, None, json.dumps({"base64": base64.b64encode(payload).decode()}))


def _text(value: object) -> str | None:
    """A text that can be sent: half of a surrogate pair has no UTF-8."""
    return value if isinstance(value, str) and value.isprintable() else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values of one name: which of them counts differs from reader to reader, so neither does."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice in one object")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
