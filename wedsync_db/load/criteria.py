"""What a load test asks for: `p(95)<50 @steady` and the like, after k6's thresholds. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from wedsync_db.errors import UsageError

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
}
_OF_SCRIPTS = frozenset({"response_ms", "service_ms", "queue_ms", "errors", "dropped"})
_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_METRIC = re.compile(r"(?P<metric>\w+)(\{(?P<label>\w+)=(?P<value>[\w-]+)\})?")
_EXPRESSION = re.compile(
    r"(?P<aggregate>[a-z]+)(\((?P<percent>[\d.]+)\))?\s*(?P<op><=|>=|==|<|>)\s*(?P<limit>-?[\d.]+)(\s*@(?P<phase>[\w-]+))?"
)
_ALL = 100  # percent
_EXAMPLES = 'Write it as "p(95)<50 @steady", "rate<0.001", "count==0" or "ratio>0.98".'


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

    def holds(self, value: float) -> bool:
        """Whether this value is as asked for."""
        return _HOLDS[self.op](value, self.limit)

    @property
    def lower_is_better(self) -> bool:
        """Whether it is a limit from above."""
        return self.op in ("<", "<=", "==")


def read_criteria(
    table: Mapping[str, Sequence[str]], *, scripts: Collection[str], phases: Collection[str]
) -> tuple[Criterion, ...]:
    """All conditions of a scenario.

    Args:
        table: By metric, the conditions on it.
        scripts: The names of the scripts there are.
        phases: The names of the phases there are.

    Raises:
        UsageError: something in it means nothing; all of the possible values are in the hint.
    """
    found = [_criterion(key, text) for key, texts in table.items() for text in texts]
    for one in found:
        _require(one.script, scripts, one.text, "script")
        _require(one.phase, phases, one.text, "phase")
    return tuple(found)


def _criterion(key: str, text: str) -> Criterion:
    whole = f'{key} = "{text}"'
    metric, expression = _METRIC.fullmatch(key.strip()), _EXPRESSION.fullmatch(text.strip())
    if metric is None or metric["metric"] not in AGGREGATES:
        raise UsageError(f"no such metric: {key}", hint=f"There are {', '.join(sorted(AGGREGATES))}.")
    if expression is None:
        raise UsageError(f"nobody can read the threshold {whole}", hint=_EXAMPLES)
    name, aggregate = metric["metric"], expression["aggregate"]
    if aggregate not in AGGREGATES[name] or (aggregate == "p") != (expression["percent"] is not None):
        allowed = ", ".join("p(N)" if one == "p" else one for one in sorted(AGGREGATES[name]))
        raise UsageError(f"{whole}: {name} has no {aggregate}", hint=f"It has {allowed}.")
    if metric["label"] and (metric["label"] != "script" or name not in _OF_SCRIPTS):
        raise UsageError(f"{whole}: {name} is not told apart by {metric['label']}", hint=_EXAMPLES)
    percent = _number(expression["percent"], whole) if expression["percent"] else None
    if percent is not None and not 0 < percent <= _ALL:
        raise UsageError(f"{whole}: a percentile is above 0 and at most 100", hint=_EXAMPLES)
    limit = _number(expression["limit"], whole)
    return Criterion(
        name, aggregate, expression["op"], limit, percent, expression["phase"], metric["value"], f"{key}: {text}"
    )


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"nobody can read the threshold {whole}", hint=_EXAMPLES) from None


def _require(name: str | None, known: Collection[str], text: str, what: str) -> None:
    if name is not None and name not in known:
        raise UsageError(f"{text}: there is no {what} {name}", hint=f"There are {', '.join(sorted(known))}.")
