"""How often to run, in which order, and what the runs come to together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from wedsync_db.load.compare import MOST_PAIRS, PAIRS, against_earlier, against_pairs
from wedsync_db.load.measure import doubts, value_of
from wedsync_db.load.scenario import MOST_RUNS, Scenario
from wedsync_db.load.summary import Cell, Summary
from wedsync_db.load.verdict import Comparison, Result, Verdict, judge
from wedsync_db.model import Migration
from wedsync_db.postgres.session import Address


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One run, and what ended it before its time."""

    summary: Summary
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Earlier:
    """Runs of earlier tests with the same fingerprint, and the migrations of the newest of them, by id."""

    runs: Sequence[Summary] = ()
    since: datetime | None = None
    migrations: frozenset[str] = frozenset()


RunOnce = Callable[[Address, int], Run]
Compare = Callable[[Sequence[Summary]], Comparison | None]


def repeat(
    scenario: Scenario,
    address: Address,
    run: RunOnce,
    compare: Compare,
    say: Callable[[str], None],
) -> tuple[tuple[Summary, ...], Result]:
    """As many runs as were asked for, and more while they cannot tell; one that had to be ended is the last."""
    runs: list[Summary] = []
    while True:
        one = run(address, len(runs))
        runs.append(one.summary)
        say(f"run {len(runs)}: {run_line(one.summary)}")
        if len(runs) < scenario.repeats and not one.ended:
            continue
        result = judged(scenario, runs, compare(runs), one.ended)
        if result.verdict is not Verdict.INCONCLUSIVE or len(runs) >= MOST_RUNS or not _more_may_tell(result):
            return tuple(runs), result


def _more_may_tell(result: Result) -> bool:
    """Whether more runs could make a verdict of this; what has nothing to be compared with stays as it is."""
    compared = result.comparison.found if result.comparison and result.comparison.decides else ()
    unsure = [one for one in result.judged if one.verdict is Verdict.INCONCLUSIVE]
    return bool(unsure) or any(one.detectable for one in compared)


def in_turn(
    scenario: Scenario, after: Address, before: Address, run: RunOnce, migration: str, say: Callable[[str], None]
) -> tuple[tuple[Summary, ...], Result]:
    """Pairs of runs with the same seed, now the one first and now the other: what drifts on the machine hits both.

    More of them while they cannot tell; a pair with a run that had to be ended is the last. `migration` is what only
    the one has.
    """
    what = f"before {migration}"
    later: list[Summary] = []
    earlier: list[Summary] = []
    while True:
        ended = _pair([(before, earlier, what), (after, later, "after")], run, say)
        if len(later) < PAIRS and not ended:
            continue
        comparison = against_pairs(scenario, later, earlier, migration)
        asked = scenario.criteria
        doubtful = [f"run {n} {what}: {doubt}" for n, one in enumerate(earlier, 1) for doubt in doubts(asked, one)]
        result = judged(scenario, later, comparison, ended, doubtful)
        if result.verdict is not Verdict.INCONCLUSIVE or len(later) >= MOST_PAIRS:
            return tuple(later), result


def _pair(turns: Sequence[tuple[Address, list[Summary], str]], run: RunOnce, say: Callable[[str], None]) -> str:
    """One run of each; what ended one of them before its time."""
    number, ended = len(turns[0][1]), ""
    for where, found, called in turns if number % 2 == 0 else reversed(turns):
        one = run(where, number)
        ended = ended or one.ended
        found.append(one.summary)
        say(f"pair {number + 1}, {called}: {run_line(one.summary)}")
    return ended


def with_earlier(
    scenario: Scenario, migrations: Sequence[Migration], baseline: Callable[[], Earlier | None]
) -> Compare:
    """What compares runs with those of earlier tests, where there are any, or the scenario asks for it."""
    names, known_of = {one.id for one in migrations}, cache(baseline)  # asked once, however many runs there are

    def compare(runs: Sequence[Summary]) -> Comparison | None:
        earlier = known_of()
        if not scenario.comparisons and not (earlier and earlier.runs):
            return None
        known = earlier or Earlier()
        since = f"since {known.since:%Y-%m-%d}" if known.since else "of which none is known"
        what = f"{len(known.runs)} runs of earlier tests {since}"
        found = against_earlier(scenario, runs, known.runs, what)
        return replace(found, differing=tuple(sorted(names ^ known.migrations)) if known.runs else ())

    return compare


def judged(
    scenario: Scenario,
    runs: Sequence[Summary],
    comparison: Comparison | None = None,
    ended: str = "",
    also: Sequence[str] = (),
) -> Result:
    """The verdict over these runs of a scenario. Pure."""
    criteria = scenario.criteria
    values = [[value_of(criterion, scenario, run) for criterion in criteria] for run in runs]
    found = [f"run {number}: {doubt}" for number, run in enumerate(runs, 1) for doubt in doubts(criteria, run)]
    return judge(criteria, values, [*found, *also], comparison, [ended] if ended else [])


def run_line(run: Summary) -> str:
    """One run in a line."""
    all_of_it = Cell.sum(run.cells.values())
    said = ", ".join(f"{many} × {state}" for state, many in all_of_it.errors.items())
    return f"{all_of_it.answered} answered of {all_of_it.arrivals}" + (f", errors {said}" if said else "") + (
        f", {all_of_it.dropped} dropped" if all_of_it.dropped else ""
    )  # fmt: skip
