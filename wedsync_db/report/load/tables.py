"""The tables of a load test's page. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from wedsync_db.load.measure import beyond_limits, limits_of, seen_of
from wedsync_db.load.run import LoadTest
from wedsync_db.load.summary import Cell, Summary
from wedsync_db.load.verdict import Comparison, Judged
from wedsync_db.report.daily.words import percent
from wedsync_db.report.load.series import measured_cell
from wedsync_db.report.load.told import tone
from wedsync_db.report.load.words import (
    between,
    capital,
    found,
    limit,
    margin,
    milliseconds,
    ratio_words,
    subject,
)

_PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Condition:
    """A row of the conditions."""

    verdict: str
    tone: str
    what: str
    asked: str
    value: str
    interval: str
    margin: str
    why: str


@dataclass(frozen=True, slots=True)
class Part:
    """A script, or a phase: how often, how long, and how many went wrong."""

    name: str
    requests: str
    percentiles: tuple[str, ...]
    errors: str
    dropped: str


@dataclass(frozen=True, slots=True)
class Against:
    """A row of the comparison."""

    verdict: str
    tone: str
    what: str
    own: str
    theirs: str
    ratio: str
    asked: str
    detectable: str
    why: str


@dataclass(frozen=True, slots=True)
class Health:
    """How the generator was in a run, beside what it may be at most; `bad` names the columns that are beyond it."""

    run: str
    late: str
    woken: str
    cores: str
    requests: str
    bad: frozenset[str] = frozenset()


def conditions(test: LoadTest) -> list[Condition]:
    """What was asked and what was found; the worst first."""
    order = ("INVALID", "FAIL", "INCONCLUSIVE", "PASS")
    found = sorted((_condition(one) for one in test.result.judged), key=lambda one: order.index(one.verdict))
    return [replace(one, tone="soft") for one in found] if test.result.doubts else found


def scripts(test: LoadTest, run: Summary) -> list[Part]:
    """By script, over the measured phases."""
    cells = [(one.name, measured_cell(test.scenario, run, one.name)) for one in test.scenario.scripts]
    total = sum(cell.arrivals for _, cell in cells)
    return [_part(name, cell, f"{percent(cell.arrivals / total) if total else '–'}") for name, cell in cells]


def phases(test: LoadTest, run: Summary) -> list[Part]:
    """By phase; those that are not judged as well."""
    return [
        _part(
            one.name if one.measured else f"{one.name} (not judged)",
            run.chosen([one.name]),
            f"{run.chosen([one.name]).arrivals / one.seconds:,.0f} a second",
        )
        for one in test.scenario.phases
    ]


def compared(against: Comparison) -> list[Against]:
    """The comparison with other runs."""
    return [
        Against(
            one.verdict.value if against.decides else "shown",
            tone(one.verdict) if against.decides else "soft",
            capital(subject(one.criterion).removeprefix("the ")),
            _middle(one.own),
            _middle(one.theirs),
            "–" if one.ratio is None else ratio_words(one.ratio),
            f"less than {ratio_words(one.criterion.limit)}",
            "–" if one.detectable is None else ratio_words(one.detectable),
            one.why,
        )
        for one in against.found
    ]


def health(test: LoadTest) -> list[Health]:
    """The generator in each run, and in the first row what it may be."""
    return [_most(test), *_healths(test)]


def _most(test: LoadTest) -> Health:
    late, woken, cores = limits_of(test.scenario.criteria).values()
    least = "–" if math.isinf(late) else f"less than {milliseconds(late)}"
    return Health("allowed", least, f"less than {milliseconds(woken)}", f"less than {percent(cores)}", "–")


def _healths(test: LoadTest) -> Iterator[Health]:
    for number, run in enumerate(test.runs, 1):
        was, seen = run.generator, seen_of(run.generator)
        sent = sum(cell.arrivals for cell in run.cells.values())
        yield Health(
            f"run {number}",
            milliseconds(seen["late"]),
            milliseconds(seen["woken"]),
            f"{percent(was.cores)} of {was.processes}",
            f"{sent:,} of {was.planned:,.0f}",
            beyond_limits(test.scenario.criteria, was),
        )


def _condition(one: Judged) -> Condition:
    return Condition(
        one.verdict.value,
        tone(one.verdict),
        capital(subject(one.criterion)),
        limit(one.criterion),
        found(one).partition(" (")[0] if one.interval else found(one),
        between(one),
        margin(one),
        one.why,
    )


def _part(name: str, cell: Cell, requests: str) -> Part:
    times = tuple(milliseconds(cell.response.percentile(one)) for one in _PERCENTILES)
    return Part(name, requests, times, _many(sum(cell.errors.values())), _many(cell.dropped))


def _many(count: int) -> str:
    return f"{count:,}" if count else "none"


def _middle(values: tuple[float, ...]) -> str:
    """Of the runs the one in the middle, and how many there are."""
    if not values:
        return "–"
    return f"{milliseconds(sorted(values)[(len(values) - 1) // 2])} ({len(values)} runs)"
