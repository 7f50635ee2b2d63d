"""What a load test asks for: `p(95)<50 @steady` and the like, after k6's thresholds. Pure.

`{expr = "p(95)<1000", window_seconds = 10, grace_seconds = 15, abort = true}` asks it of each ten seconds, and ends the
run when it does not hold. `"baseline.response_ms" = ["p(50) ratio<1.10"]` compares with earlier tests.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from wedsync_db import setting_values as values
from wedsync_db.errors import UsageError
from wedsync_db.toml_tables import read_table

# what can be asked of each metric; in milliseconds, seconds, or a share of one
AGGREGATES: Mapping[str, frozenset[str]] = {
    "response_ms": frozenset({"p", "avg"}),  # from when it was due: what a user waits
    "service_ms": frozenset({"p", "avg"}),  # from when it was sent
    "queue_ms": frozenset({"p", "avg"}),  # waiting for one of the pool's connections
    "errors": frozenset({"rate", "count"}),
    "dropped": frozenset({"rate", "count"}),  # due, and never answered
    "leaks": frozenset({"count"}),  # rows of another tenant
    "achieved": frozenset({"ratio"}),  # answered, against what was due
    "pool_util": frozenset({"avg"}),
    "connect_ms": frozenset({"p", "avg"}),  # to get a connection, where each arrival has one of its own
    "slow_statements": frozenset({"count"}),  # took more than a second
    "cache_hit": frozenset({"value"}),  # blocks that the server had in memory
    "recovery_s": frozenset({"value"}),  # after a phase, until the response is within its limit for good
}
_OF_SCRIPTS = frozenset({"response_ms", "service_ms", "queue_ms", "errors", "dropped"})
_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_METRIC = re.compile(r"(?P<baseline>baseline\.)?(?P<metric>\w+)(\{(?P<label>\w+)=(?P<value>[\w-]+)\})?")
_EXPRESSION = re.compile(
    r"(?P<aggregate>[a-z]+)(\((?P<percent>[\d.]+)\))?(?P<ratio> ratio)?\s*"
    r"(?P<op><=|>=|==|<|>)\s*(?P<limit>-?[\d.]+)(\s*@(?P<phase>[\w-]+))?"
)
_WAYS: Mapping[str, values.Reader] = {
    "expr": values.text,
    "window_seconds": values.whole(1, 3600),
    "grace_seconds": values.whole(0, 3600),
    "abort": values.flag,
}
_ALL = 100  # percent
_EXAMPLES = 'Write it as "p(95)<50 @steady", "rate<0.001", "count==0" or "ratio>0.98".'
_ABORTING = '{expr = "p(95)<1000", window_seconds = 10, abort = true} on response_ms, for one.'
STEADY_SECONDS = 5  # in a row, until it has recovered
LIVE_PERCENT = 95  # the percentile that a run tells about while it goes on


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition. Without a phase it is about all that are measured; without a script about all of them."""

    metric: str
    aggregate: str
    op: str
    limit: float
    percent: float | None = None
    phase: str | None = None
    script: str | None = None
    text: str = field(default="", compare=False)
    window: int = 0  # seconds: the worst of so many in a row, instead of all
    grace: int = 0  # seconds at the begin that do not count
    abort: bool = False  # ends the run as soon as it does not hold

    def holds(self, value: float) -> bool:
        """Whether this value is as asked for."""
        return _HOLDS[self.op](value, self.limit)

    @property
    def lower_is_better(self) -> bool:
        """Whether it is a limit from above."""
        return self.op in ("<", "<=", "==")


@dataclass(frozen=True, slots=True)
class Asked:
    """All that a scenario asks for: of each run by itself, and of the runs against those of the baseline."""

    criteria: tuple[Criterion, ...]
    comparisons: tuple[Criterion, ...] = ()


def read_criteria(table: Mapping[str, object], *, scripts: Collection[str], phases: Collection[str]) -> Asked:
    """All conditions of a scenario.

    Args:
        table: By metric, the conditions on it: texts, or tables with an `expr`.
        scripts: The names of the scripts there are.
        phases: The names of the phases there are.

    Raises:
        UsageError: something in it means nothing; all of the possible values are in the hint.
    """
    asked: dict[bool, list[Criterion]] = {False: [], True: []}
    for key, given in table.items():
        for one in given if isinstance(given, list) else [given]:
            found = _criterion(key, one)
            _require(found.script, scripts, found.text, "script")
            _require(found.phase, phases, found.text, "phase")
            asked[key.startswith("baseline.")].append(found)
    recovering = any(one.metric == "recovery_s" for one in asked[False])
    if recovering and not any(one.metric == "response_ms" and one.percent == LIVE_PERCENT for one in asked[False]):
        raise UsageError("recovery_s needs to know what good is", hint='response_ms = ["p(95)<50 @before"], for one.')
    return Asked(tuple(asked[False]), tuple(asked[True]))


def _criterion(key: str, given: object) -> Criterion:
    ways = read_table({"expr": given} if not isinstance(given, dict) else given, _WAYS, f"thresholds.{key}")
    if "expr" not in ways:
        raise UsageError(f"thresholds.{key}: expr is missing", hint=_ABORTING)
    whole = f'{key} = "{ways["expr"]}"'
    metric, expression = _METRIC.fullmatch(key.strip()), _EXPRESSION.fullmatch(ways["expr"].strip())
    if metric is None or metric["metric"] not in AGGREGATES:
        raise UsageError(f"no such metric: {key}", hint=f"There are {', '.join(sorted(AGGREGATES))}.")
    if expression is None:
        raise UsageError(f"nobody can read the threshold {whole}", hint=_EXAMPLES)
    _check(metric, expression, whole)
    percent = _number(expression["percent"], whole) if expression["percent"] else None
    if percent is not None and not 0 < percent <= _ALL:
        raise UsageError(f"{whole}: a percentile is above 0 and at most 100", hint=_EXAMPLES)
    by_phase = metric["label"] == "phase"
    found = Criterion(
        metric["metric"],
        expression["aggregate"],
        expression["op"],
        _number(expression["limit"], whole),
        percent,
        metric["value"] if by_phase else expression["phase"],
        None if by_phase else metric["value"],
        f"{key}: {ways['expr']}",
        ways.get("window_seconds", 0),
        ways.get("grace_seconds", 0),
        ways.get("abort", False),
    )
    _check_ways(found, whole)
    return found


def _check(metric: re.Match[str], expression: re.Match[str], whole: str) -> None:
    """What can be asked of this metric, and in which words."""
    name, aggregate, label = metric["metric"], expression["aggregate"], metric["label"]
    if aggregate not in AGGREGATES[name] or (aggregate == "p") != (expression["percent"] is not None):
        allowed = ", ".join("p(N)" if one == "p" else one for one in sorted(AGGREGATES[name]))
        raise UsageError(f"{whole}: {name} has no {aggregate}", hint=f"It has {allowed}.")
    of_scripts = label == "script" and name in _OF_SCRIPTS
    after_a_phase = label == "phase" and name == "recovery_s" and not expression["phase"]
    if label and not (of_scripts or after_a_phase):
        raise UsageError(f"{whole}: {name} is not told apart by {label}", hint=_EXAMPLES)
    if name == "recovery_s" and not label:
        raise UsageError(f"{whole}: after which phase?", hint='"recovery_s{phase=spike}" = ["value<30"], for one.')
    compares = name == "response_ms" and aggregate == "p" and expression["ratio"]
    if bool(metric["baseline"]) != bool(compares):
        raise UsageError(f"{whole} compares nothing", hint='"baseline.response_ms" = ["p(50) ratio<1.10"], for one.')


def _check_ways(found: Criterion, whole: str) -> None:
    timed = "p" in AGGREGATES[found.metric] and not found.script
    if (found.window or found.grace) and not timed:
        raise UsageError(f"{whole}: only times of all scripts have a window", hint=_ABORTING)
    if found.abort and not (
        found.metric == "response_ms" and found.percent == LIVE_PERCENT and found.op in ("<", "<=") and not found.phase
    ):
        raise UsageError(
            f"{whole}: a run tells about p(95) of the response while it goes on, whatever its phase", hint=_ABORTING
        )


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"nobody can read the threshold {whole}", hint=_EXAMPLES) from None


def _require(name: str | None, known: Collection[str], text: str, what: str) -> None:
    if name is not None and name not in known:
        raise UsageError(f"{text}: there is no {what} {name}", hint=f"There are {', '.join(sorted(known))}.")
