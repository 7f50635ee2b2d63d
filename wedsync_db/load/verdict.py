"""Whether a database holds what was asked of it, as far as the runs can tell. Pure.

FAIL is a finding about the database; INVALID one about the measurement, which then says nothing about the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from wedsync_db.load.criteria import Criterion
from wedsync_db.load.statistics import Interval, interval

_VARYING = frozenset({"response_ms", "service_ms", "queue_ms", "connect_ms", "pool_util"})


class Verdict(StrEnum):
    """How it ended, the better first."""

    PASS = "PASS"  # noqa: S105 no password
    INCONCLUSIVE = "INCONCLUSIVE"
    FAIL = "FAIL"
    INVALID = "INVALID"


@dataclass(frozen=True, slots=True)
class Judged:
    """One criterion: its value in each run, between which limits it lies for any run, and what that makes."""

    criterion: Criterion
    values: tuple[float | None, ...]
    interval: Interval | None
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One percentile of the response against that of the others, in milliseconds by run.

    `ratio` is how many times slower it is, `probability` that of finding so much by chance, `detectable` the smallest
    ratio that so many runs would show four times of five; None where they are too few.
    """

    criterion: Criterion
    own: tuple[float, ...]
    theirs: tuple[float, ...]
    ratio: float | None
    probability: float | None
    detectable: float | None
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs against others. `differing`: the migrations that only one of the two had.

    `before` is the migration without which the others ran, each in turn with one of ours; "" for earlier tests.
    """

    with_what: str
    found: tuple[Compared, ...]
    differing: tuple[str, ...] = ()
    decides: bool = True  # else it is only shown: the scenario asks for none
    before: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of its conditions."""
        return max((one.verdict for one in self.found), key=list(Verdict).index)


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict of a load test: the worst of its criteria, or INVALID for one of the `doubts`.

    `ended` says what ended a run before its time: such a one does not pass.
    """

    verdict: Verdict
    judged: tuple[Judged, ...]
    doubts: tuple[str, ...]
    comparison: Comparison | None = None
    ended: tuple[str, ...] = ()


def judge(
    criteria: Sequence[Criterion],
    runs: Sequence[Sequence[float | None]],
    doubts: Sequence[str] = (),
    comparison: Comparison | None = None,
    ended: Sequence[str] = (),
) -> Result:
    """The verdict over repeated runs.

    Args:
        criteria: What is asked.
        runs: For each run, the value of each criterion in their order.
        doubts: Why a run is none.
        comparison: What the runs were compared with.
        ended: What ended a run before its time.
    """
    judged = tuple(
        judge_one(criterion, tuple(values)) for criterion, values in zip(criteria, zip(*runs, strict=True), strict=True)
    )
    verdicts = [one.verdict for one in judged]
    if comparison and comparison.decides:
        verdicts.append(comparison.verdict)
    if ended:  # and what it did not come to does not excuse it
        verdicts = [Verdict.FAIL, *(one for one in verdicts if one is not Verdict.INVALID)]
    worst = max(verdicts, key=list(Verdict).index, default=Verdict.INVALID)
    return Result(Verdict.INVALID if doubts else worst, judged, tuple(doubts), comparison, tuple(ended))


def judge_one(criterion: Criterion, values: tuple[float | None, ...]) -> Judged:
    """One criterion over repeated runs.

    What varies from run to run passes when the interval of its true value is within the limit, and fails when it is
    outside; between the two it cannot be told. What is counted has to be right in each run.
    """
    known = [one for one in values if one is not None]
    if len(known) < len(values) or not known:
        return Judged(criterion, values, None, Verdict.INVALID, "nothing of it was measured")
    if criterion.metric not in _VARYING:
        bad = sum(not criterion.holds(one) for one in known)
        why = f"not so in {bad} of {len(known)} runs" if bad else "so in each run"
        return Judged(criterion, values, None, Verdict.FAIL if bad else Verdict.PASS, why)
    found = interval(known)
    if found is None:
        return Judged(criterion, values, None, _alone(criterion, known), "one run, or a zero, has no interval")
    ends = [criterion.holds(end) for end in (found.low, found.high)]
    if all(ends):
        return Judged(criterion, values, found, Verdict.PASS, "all of the interval is within the limit")
    if not any(ends):
        return Judged(criterion, values, found, Verdict.FAIL, "all of the interval is beyond the limit")
    return Judged(criterion, values, found, Verdict.INCONCLUSIVE, "the limit lies within the interval")


def _alone(criterion: Criterion, known: Sequence[float]) -> Verdict:
    """Zeros of several runs need no interval; a single run says nothing about the next."""
    if len(known) > 1 and all(criterion.holds(one) for one in known):
        return Verdict.PASS
    return Verdict.INCONCLUSIVE
