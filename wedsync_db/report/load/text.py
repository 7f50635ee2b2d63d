"""A load test in words: the verdict, what each condition came to, and what could not have been seen."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wedsync_db.load.run import LoadTest
from wedsync_db.load.statistics import detectable, spread_of
from wedsync_db.load.verdict import Judged, Verdict
from wedsync_db.report.html import write_page

_MEANS = {
    Verdict.PASS: "it holds what is asked of it",
    Verdict.FAIL: "it does not hold what is asked of it",
    Verdict.INCONCLUSIVE: "these runs cannot tell",
    Verdict.INVALID: "the measurement was no good, and says nothing about the database",
}


def load_line(test: LoadTest) -> str:
    """In a line."""
    return f"{test.environment}, {test.scenario.title}: {test.result.verdict} ({_MEANS[test.result.verdict]})"


def load_markdown(test: LoadTest) -> str:
    """For the run's page."""
    rows = [f"| {one.verdict} | `{one.criterion.text}` | {_value(one)} | {one.why} |" for one in test.result.judged]
    doubts = [f"- {doubt}" for doubt in test.result.doubts]
    return "\n".join(
        [
            f"# {load_line(test)}",
            "",
            _setup(test),
            "",
            "| | condition | value | |",
            "|---|---|---|---|",
            *rows,
            "",
            *doubts,
        ]
    )


def write_load(test: LoadTest, folder: Path) -> Path:
    """Write all figures as JSON; where they are."""
    name = f"load-{test.environment}-{test.scenario.name}-{test.started_at:%Y%m%dT%H%M%SZ}.json"
    text = json.dumps({**load_data(test), "started_at": test.started_at.isoformat()}, indent=2) + "\n"
    return write_page(text, folder / name)


def load_text(test: LoadTest) -> str:
    """For the terminal."""
    lines = [
        load_line(test),
        f"  {_setup(test)}",
        *(f"  {line}" for line in map(_line, test.result.judged)),
        *(f"  {doubt}" for doubt in test.result.doubts),
    ]
    found = found_from(test)
    if found:
        lines.append(
            f"  a p95 that is {found - 1:.0%} slower would have been noticed in a comparison; less, perhaps not"
        )
    return "\n".join(lines)


def load_data(test: LoadTest) -> Mapping[str, Any]:
    """All figures, for programs."""
    return {
        "environment": test.environment,
        "scenario": test.scenario.name,
        "verdict": test.result.verdict.value,
        "server": test.server,
        "seed": test.seed,
        "pool": test.scenario.pool,
        "runs": len(test.runs),
        "criteria": [
            {
                "criterion": one.criterion.text,
                "verdict": one.verdict.value,
                "why": one.why,
                "values": list(one.values),
                "interval": [one.interval.low, one.interval.high] if one.interval else None,
            }
            for one in test.result.judged
        ],
        "doubts": list(test.result.doubts),
        "detectable_ratio": found_from(test),
    }


def found_from(test: LoadTest) -> float | None:
    """The ratio of p95s from which on as many runs again would show a difference; None where that is not known."""
    times = [one for one in test.result.judged if one.criterion.percent and None not in one.values]
    if not times:
        return None
    values = [value for value in times[0].values if value]
    spread = spread_of(values)
    return None if math.isnan(spread) else detectable(spread, len(values), len(values))


def _setup(test: LoadTest) -> str:
    scenario = test.scenario
    measured = sum(phase.seconds for phase in scenario.phases if phase.measured)
    arrivals = sum(phase.arrivals for phase in scenario.phases if phase.measured) / measured
    return (
        f"{len(test.runs)} × {measured:.0f} s, {arrivals:.0f} arrivals a second, pool {scenario.pool}, {test.server},"
        f" seed {test.seed}"
    )


def _value(one: Judged) -> str:
    if one.interval:
        return f"{one.interval.middle:.3g} ({one.interval.low:.3g} to {one.interval.high:.3g})"
    return ", ".join("not measured" if value is None else f"{value:.4g}" for value in one.values)


def _line(one: Judged) -> str:
    return f"{one.verdict.value:<12}  {one.criterion.text}: {_value(one)}; {one.why}"
