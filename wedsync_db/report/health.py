"""Health as text for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from wedsync_db.errors import WedsyncError
from wedsync_db.monitor.states import Checked, State, overall
from wedsync_db.monitor.thresholds import THRESHOLDS
from wedsync_db.report.markdown import duration

_DAY = 86_400  # seconds
_DAYS_FROM = 3 * _DAY
_SINGULAR = {"transactions": "transaction", "indexes": "index", "tables": "table", "failures": "failure"}

_MARKS = {State.HEALTHY: "ok", State.DEGRADED: "DEGRADED", State.UNHEALTHY: "UNHEALTHY", State.UNKNOWN: "unknown"}


def health_text(found: Sequence[Checked], tree: Sequence[Sequence[Any]], environment: str) -> str:
    """The state, a line for everything that is wrong with where to read on, who blocks whom, and what is well."""
    bad = [one for one in found if one.state is not State.HEALTHY]
    alone = [one for one in found if not one.asked]
    well = sorted({one.name for one in found} - {one.name for one in (*bad, *alone)})
    lines = [f"{environment}: {overall(found).value}"]
    for name in dict.fromkeys(one.name for one in bad):
        several = [one for one in bad if one.name == name]
        for number, one in enumerate(several):
            limits = "" if number else _limits(one)
            lines.append(f"  {_MARKS[one.state]:9}  {one.name}: {shown(one.observed, one.unit)}{limits}")
            lines += [f"             {line}" for line in one.evidence]
        lines.append(f"             → {several[0].runbook}")
    lines += ["who waits for whom:", *map(_branch, tree)] if tree else []
    lines += [f"  not asked: {one.name}, {', '.join(one.evidence)}" for one in alone]
    lines.append(f"  well: {', '.join(well) or 'nothing'}")
    return "\n".join(lines)


def health_json(found: Sequence[Checked], environment: str) -> dict[str, Any]:
    """`{environment, status, checks: […]}`; limits in the check's unit. `asked` false: there is nothing to ask."""
    return {
        "environment": environment,
        "status": overall(found).value,
        "checks": [
            {
                "name": one.name,
                "subject": one.subject,
                "status": one.state.value,
                "asked": one.asked,
                "observed": one.observed,
                "unit": one.unit,
                "threshold": {"degraded": one.degraded, "unhealthy": one.unhealthy},
                "evidence": list(one.evidence),
                "runbook": one.runbook,
            }
            for one in found
        ],
    }


def unknown_text(environment: str, error: WedsyncError) -> str:
    """For an environment that could not be asked at all, and why."""
    lines = [f"{environment}: unknown", f"  {error.message}", f"  {error.hint}" if error.hint else ""]
    return "\n".join(filter(None, lines))


def unknown_json(environment: str, error: WedsyncError) -> dict[str, Any]:
    """The same for programs, in the shape of `health_json`."""
    return {"environment": environment, "status": "unknown", "checks": [], "message": error.message, "hint": error.hint}


def shown(value: float | None, unit: str) -> str:
    """A value in words: seconds as a duration, a ratio as percent, None as not known."""
    if value is None:
        return "not known"
    if unit == "seconds":
        return f"{value / _DAY:.3g} days" if value >= _DAYS_FROM else duration(value)
    if unit == "ratio":
        return f"{value * 100:.3g} %" if value <= 1 else f"{value:.1f} times"
    return f"{value:,.0f} {_SINGULAR.get(unit, unit) if value == 1 else unit}".replace(",", " ").strip()


def _limits(one: Checked) -> str:
    """From where on it is degraded and unhealthy, in words."""
    known = THRESHOLDS.get(one.name)
    beyond = "above" if known is None or known.higher_is_worse else "below"
    limits = [
        f"{word} {beyond} {shown(limit, one.unit)}"
        for word, limit in (("degraded", one.degraded), ("unhealthy", one.unhealthy))
        if limit is not None
    ]
    return f" ({', '.join(limits)})" if limits else ""


def _branch(row: Sequence[Any]) -> str:
    depth, pid, user, application, state, waited, mode, thing = row
    name = f"{application or 'no application name'}, user {user}, {state}" if pid else "see pg_prepared_xacts"
    who = f"pid {pid}" if pid else "a prepared transaction"
    waits = f" waits {duration(waited)} for {mode} on {thing}" if waited is not None else ""
    return f"  {'   ' * depth}{'└ ' if depth else ''}{who} ({name}){waits}"


def is_blocked(found: Iterable[Checked]) -> bool:
    """Whether there is a tree of blocked sessions to be shown."""
    return any(one.name == "blocked" and one.state in (State.DEGRADED, State.UNHEALTHY) for one in found)
