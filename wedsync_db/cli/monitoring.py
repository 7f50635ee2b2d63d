"""The verbs around monitoring: metrics for a Prometheus, and silences."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from wedsync_db.cli.answer import Answer
from wedsync_db.errors import UsageError
from wedsync_db.installation import Installation

_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LONGEST = timedelta(days=30)


def metrics(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Measure now and print it as OpenMetrics text, whose last line is `# EOF`.

    Raises:
        Unreachable: there is no session with the database.
    """
    from wedsync_db.monitor.collect import collect
    from wedsync_db.monitor.openmetrics import openmetrics

    environment = installation.environment(arguments.environment)
    with installation.target(environment.name) as address:
        sample = collect(address, "fast", clock=lambda: datetime.now(UTC))
    series = [
        {"name": m.name, "kind": m.kind, "unit": m.unit, "labels": dict(m.labels), "value": value}
        for m, value in sample.values.items()
    ]
    data = {"environment": environment.name, "at": sample.at, "metrics": series, "problems": sample.problems}
    return Answer(openmetrics(sample, {"environment": environment.name}), data)


def silence(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Tell nobody of a rule for a while; what still fires when it ends is told then.

    Raises:
        UsageError: no rule is meant, no reason is given, or the time is not right.
    """
    from wedsync_db.history.alerts import add_silence
    from wedsync_db.history.store import open_history
    from wedsync_db.migrate.deployment import runner_name
    from wedsync_db.monitor.alerts import Silence

    environment = installation.environment(arguments.environment)
    rule, reason = _rule(arguments.rule), arguments.reason.strip()
    if not reason:
        raise UsageError("a silence needs a reason", hint="--reason says to others why nobody is told.")
    until = datetime.now(UTC) + duration(arguments.duration)
    wanted = Silence(rule, arguments.subject, until, reason, runner_name())
    with installation.history() as address, open_history(address) as connection:
        add_silence(connection, environment.name, wanted)
    text = f"{environment.name}: nobody is told of {rule} until {until:%Y-%m-%d %H:%M} UTC"
    return Answer(text, {"environment": environment.name, "silence": wanted})


def duration(text: str) -> timedelta:
    """`30m`, `2h` or `7d` as a time; at most 30 days.

    Raises:
        UsageError: it is none, or too long.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        raise UsageError("--for is not a time", hint="Write it as 30m, 2h or 7d.")
    length = int(found[1]) * _UNITS[found[2]]
    if length > _LONGEST:
        raise UsageError("a silence ends within 30 days", hint="What is well as it is needs another limit: [health].")
    return length


def _rule(pattern: str) -> str:
    from wedsync_db.monitor.alerts import REACHABLE
    from wedsync_db.monitor.thresholds import THRESHOLDS

    known = (REACHABLE, *THRESHOLDS)
    if not any(fnmatchcase(name, pattern) for name in known):
        raise UsageError("there is no such rule", hint=f"The rules are {', '.join(known)}.")
    return pattern
