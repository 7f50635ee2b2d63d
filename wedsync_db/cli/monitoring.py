"""The verbs around monitoring: metrics for a Prometheus, and silences."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from wedsync_db.cli.answer import Answer
from wedsync_db.errors import UsageError
from wedsync_db.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wedsync_db.monitor.metrics import Metric, Tier
    from wedsync_db.settings import Environment

_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LONGEST = timedelta(days=30)


def metrics(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Measure now and print it as OpenMetrics text, whose last line is `# EOF`; or what watches it.

    That is the alerting rules, or the dashboard.

    A server that is gone is `pgops_up 0`, and 1 as exit code.

    Raises:
        UsageError: no environment is named, and it is something of one that is wanted.
    """
    if arguments.rules:
        return _rules(arguments, installation)
    if arguments.dashboard:
        from wedsync_db.monitor.dashboard import dashboard, dashboard_text

        return Answer(dashboard_text(), dashboard())
    if arguments.environment is None:
        raise UsageError("which environment?", hint="`wedsync-db metrics ENV`; --rules and --dashboard go without one.")
    from wedsync_db.monitor.observed import UP
    from wedsync_db.monitor.openmetrics import openmetrics

    environment = installation.environment(arguments.environment)
    values, problems = _measured(installation, environment, arguments.tier or ["fast"])
    series = [
        {"name": m.name, "kind": m.kind, "unit": m.unit, "labels": dict(m.labels), "value": value}
        for m, value in values.items()
    ]
    data = {"environment": environment.name, "at": _now(), "metrics": series, "problems": problems}
    return Answer(openmetrics(values, {"environment": environment.name}), data, 1 if values.get(UP) == 0 else 0)


def _measured(
    installation: Installation, environment: Environment, tiers: Sequence[Tier]
) -> tuple[Mapping[Metric, float | None], Sequence[str]]:
    """Every series of these tiers, with what health observes where that is due each minute; and what is not known."""
    from wedsync_db.cli.health import backup_facts
    from wedsync_db.monitor.beside import Beside, beside
    from wedsync_db.monitor.collect import collect
    from wedsync_db.monitor.health import look
    from wedsync_db.monitor.observed import UP, observed
    from wedsync_db.monitor.openmetrics import about

    values: dict[Metric, float | None] = {}
    problems: list[str] = []
    more = Beside()
    with installation.target(environment.name) as address:
        if "fast" in tiers:
            facts = backup_facts(installation, environment.name)
            found = look(address, environment.health, now=_now, backups=facts)
            values |= observed(found, _now())
            more = beside(environment, installation.environ, address if values[UP] else None)
            values |= {**more.values, **observed(more.found, _now())}  # a pooler answers without its server, too
        for tier in tiers if values.get(UP) != 0 else ():
            sample = more.added_to(collect(address, tier, clock=_now))
            values |= {**sample.values, **about(sample)}
            problems += sample.problems
    return values, problems


def _rules(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """The rules by an environment's limits, or by the usual ones."""
    from wedsync_db.monitor.rules import rules, rules_text

    name = arguments.environment
    overrides = installation.environment(name).health if name else {}
    return Answer(rules_text(overrides, name or ""), {"environment": name, "rules": rules(overrides, name or "")})


def _now() -> datetime:
    return datetime.now(UTC)


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
