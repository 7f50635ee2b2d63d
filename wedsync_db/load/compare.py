"""Whether runs are slower than others: than those of earlier tests, or than those before a migration. Pure.

What two sets of runs cannot show is always said with what they do: the smallest ratio that would have been found four
times of five. Where that is above what is asked, nothing was shown, and nothing passes.
"""

from __future__ import annotations

from collections.abc import Sequence

from wedsync_db.load.criteria import Criterion
from wedsync_db.load.measure import judged_phases
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.statistics import ALPHA, detectable, detectable_pairs, slower, slower_pairs, spread_of
from wedsync_db.load.summary import Summary
from wedsync_db.load.verdict import Compared, Comparison, Verdict

PAIRS = 8  # fewer cannot reach the level of significance often enough: Wilcoxon's signed ranks need seven for it
MOST_PAIRS = 16
MOST_OLD_RUNS = 10
_LEAST_RUNS = 3
USUAL = (
    Criterion("response_ms", "p", "<", 1.10, 50, text="baseline.response_ms: p(50) ratio<1.10"),
    Criterion("response_ms", "p", "<", 1.25, 95, text="baseline.response_ms: p(95) ratio<1.25"),
)


def against_pairs(
    scenario: Scenario, after: Sequence[Summary], before: Sequence[Summary], migration: str
) -> Comparison:
    """Runs that were made in turn with others, a pair after the other; the others without this migration."""
    found = [compared_pairs(one, *_values(scenario, one, after, before)) for one in scenario.comparisons or USUAL]
    return Comparison(f"before {migration}", tuple(found), before=migration)


def against_earlier(scenario: Scenario, runs: Sequence[Summary], earlier: Sequence[Summary], what: str) -> Comparison:
    """Runs against those of earlier tests of the same, on the same machine and settings."""
    asked = scenario.comparisons or USUAL
    found = [compared_runs(one, *_values(scenario, one, runs, earlier)) for one in asked]
    return Comparison(what, tuple(found), decides=bool(scenario.comparisons))


def response_of(scenario: Scenario, run: Summary, percent: float, phase: str | None = None) -> float | None:
    """A percentile of what users waited, in milliseconds, over what is measured."""
    return run.chosen(judged_phases(scenario, phase)).response.percentile(percent)


def _values(
    scenario: Scenario, asked: Criterion, runs: Sequence[Summary], others: Sequence[Summary]
) -> list[tuple[float, ...]]:
    """The percentile of each run; a run without it is left out, and too few say nothing."""
    return [
        tuple(value for run in held if (value := response_of(scenario, run, asked.percent or 50, asked.phase)))
        for held in (runs, others)
    ]


def compared_pairs(asked: Criterion, own: tuple[float, ...], theirs: tuple[float, ...]) -> Compared:
    """One percentile of runs in milliseconds against that of their partners, made in turn with them."""
    if len(own) != len(theirs) or len(own) < PAIRS:
        few = f"it takes {PAIRS} pairs of runs, and there are {min(len(own), len(theirs))}"
        return _unknown(asked, own, theirs, few)
    return _judged(asked, own, theirs, *slower_pairs(theirs, own), detectable_pairs(theirs, own))


def compared_runs(asked: Criterion, own: tuple[float, ...], theirs: tuple[float, ...]) -> Compared:
    """One percentile of runs in milliseconds against that of others, made at another time."""
    if min(len(own), len(theirs)) < _LEAST_RUNS:
        few = f"{len(own)} runs against {len(theirs)} earlier ones: it takes {_LEAST_RUNS} of each"
        return _unknown(asked, own, theirs, few)
    found = detectable(spread_of(own, theirs), len(own), len(theirs))
    return _judged(asked, own, theirs, *slower(own, theirs), found)


def _judged(
    asked: Criterion,
    own: tuple[float, ...],
    theirs: tuple[float, ...],
    ratio: float,
    probability: float,
    smallest: float,
) -> Compared:
    """It fails when it is slower by more than asked and not by chance; it passes when so much would have been seen."""
    if probability < ALPHA and not asked.holds(ratio):
        verdict, why = Verdict.FAIL, f"slower, and by chance only once in {_times(probability)}"
    elif asked.holds(ratio) and asked.holds(smallest):
        verdict, why = Verdict.PASS, f"{smallest - 1:.0%} slower would have been seen"
    else:
        verdict, why = Verdict.INCONCLUSIVE, f"cannot tell: only {smallest - 1:.0%} slower would have been seen"
    return Compared(asked, own, theirs, ratio, probability, smallest, verdict, why)


def _unknown(asked: Criterion, own: tuple[float, ...], theirs: tuple[float, ...], why: str) -> Compared:
    return Compared(asked, own, theirs, None, None, None, Verdict.INCONCLUSIVE, why)


def _times(probability: float) -> str:
    return f"{round(1 / max(probability, 1e-9)):,}"
