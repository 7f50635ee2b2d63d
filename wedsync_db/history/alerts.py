"""Alerts in the history store: remembered from one look to the next, and silences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from wedsync_db.monitor.alerts import Alert, Notice, Phase, Silence, step
from wedsync_db.monitor.states import Checked, State
from wedsync_db.monitor.thresholds import Threshold
from wedsync_db.postgres.queries import query

_FILE = "alerts"
_TOLD_DAYS = 90
Alerts = Mapping[tuple[str, str], Alert]


def stepped(
    connection: psycopg.Connection,
    environment: str,
    found: Iterable[Checked],
    thresholds: Mapping[str, Threshold],
    *,
    now: datetime,
    tell: Callable[[Notice], None],
) -> Alerts:
    """Go one look further: what was remembered becomes what is remembered now, and people are told what changed.

    They are told after it was written and before it is committed, so that of what cannot be written nobody hears each
    minute anew, and what a killed process did not tell is told by the next.

    Raises:
        psycopg.Error: the store does not answer, or takes nothing.
    """
    with connection.transaction():
        connection.execute(query(_FILE, "alone"), {"environment": environment})
        silences = active_silences(connection, environment, now)
        after, notices = step(load(connection, environment), found, thresholds, now=now, silences=silences)
        save(connection, environment, after)
        _note(connection, environment, notices, now)
        for notice in notices:
            tell(notice)
    return after


def _note(connection: psycopg.Connection, environment: str, notices: Iterable[Notice], now: datetime) -> None:
    """Keep what people are told of, for the report of the day."""
    for one in notices:
        given = {"environment": environment, "at": now, "rule": one.alert.rule, "subject": one.alert.subject}
        told = {"what": one.what, "state": one.alert.state.value, "evidence": "; ".join(one.evidence)}
        connection.execute(query(_FILE, "told"), {**given, **told})
        connection.execute(query(_FILE, "forget_told"), {**given, "before": now - timedelta(days=_TOLD_DAYS)})


def load(connection: psycopg.Connection, environment: str) -> Alerts:
    """What is remembered of an environment, by rule and subject."""
    found = [_alert(*row) for row in connection.execute(query(_FILE, "alerts"), {"environment": environment})]
    return {(one.rule, one.subject): one for one in found}


def save(connection: psycopg.Connection, environment: str, alerts: Alerts) -> None:
    """Remember exactly these."""
    with connection.transaction():
        connection.execute(query(_FILE, "forget"), {"environment": environment})
        with connection.cursor() as cursor:
            cursor.executemany(query(_FILE, "remember"), [_row(environment, one) for one in alerts.values()])


def active_silences(connection: psycopg.Connection, environment: str, now: datetime) -> tuple[Silence, ...]:
    """The silences that are not over, the first to end first."""
    rows = connection.execute(query(_FILE, "silences"), {"environment": environment, "now": now})
    return tuple(Silence(rule, subject, _utc(until), reason, author) for rule, subject, until, reason, author in rows)


def add_silence(connection: psycopg.Connection, environment: str, silence: Silence) -> None:
    """Keep a silence until it ends."""
    connection.execute(
        query(_FILE, "silence"),
        {
            "environment": environment,
            "rule": silence.rule,
            "subject": silence.subject,
            "until": silence.until,
            "reason": silence.reason,
            "author": silence.author,
        },
    )


def _alert(
    rule: str, subject: str, phase: str, state: str, since: Any, seen_at: Any, seen_state: Any, calm: Any, *rest: Any
) -> Alert:
    missing, notified = rest
    seen = tuple((at.astimezone(UTC), State(how)) for at, how in zip(seen_at, seen_state, strict=True))
    return Alert(
        rule, subject, Phase(phase), State(state), _or_none(since), seen, *map(_or_none, (calm, missing, notified))
    )


def _row(environment: str, one: Alert) -> dict[str, object]:
    return {
        "environment": environment,
        "rule": one.rule,
        "subject": one.subject,
        "phase": one.phase.value,
        "state": one.state.value,
        "since": one.since,
        "seen_at": [at for at, _ in one.seen],
        "seen_state": [how.value for _, how in one.seen],
        "calm_since": one.calm_since,
        "missing_since": one.missing_since,
        "notified_at": one.notified_at,
    }


def _or_none(at: datetime | None) -> datetime | None:
    return _utc(at) if at else None


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
