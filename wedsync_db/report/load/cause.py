"""Where the time went, and which errors there were, in a load test that failed: facts of one run, no guesses. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wedsync_db.load.criteria import Criterion
from wedsync_db.load.measure import spans, utilisation
from wedsync_db.load.run import LoadTest
from wedsync_db.load.summary import Summary
from wedsync_db.load.verdict import Verdict
from wedsync_db.report.daily.words import percent
from wedsync_db.report.load.series import measured_cell, representative
from wedsync_db.report.load.words import listed, milliseconds, state_words, wait_words, where
from wedsync_db.report.markdown import counted

_PERCENT = 95
_MOST_KINDS = 3
_OFTEN_FREE = 0.5  # of the pool: a queue then stands at some moments only
_REMEDY = (
    "Either a request has to take less time there, or more connections are needed, which help only as far as the "
    "server has cores for them"
)


def causes(test: LoadTest) -> tuple[str, ...]:
    """For a FAIL, what the run that is shown says about the first response and the first errors that were too many."""
    if test.result.verdict is not Verdict.FAIL:
        return ()
    run = test.runs[representative(test)]
    failed = [one.criterion for one in test.result.judged if one.verdict is Verdict.FAIL]
    slow = [replace(one, window=0) for one in failed if one.metric == "response_ms"]
    wrong = [one for one in failed if one.metric in ("errors", "dropped", "achieved")]
    return (*(_slow(test, run, slow[0]) if slow else ()), *(_wrong(test, run, wrong[0]) if wrong else ()))


def _slow(test: LoadTest, run: Summary, asked: Criterion) -> Iterator[str]:
    cell = measured_cell(test.scenario, run, asked.script, asked.phase)
    service, queue = cell.service.percentile(_PERCENT), cell.queue.percentile(_PERCENT)
    if service is None or queue is None:
        yield f"Nothing was answered{where(asked)}."
        return
    there = "the database" if test.scenario.connections == "direct" else "pgbouncer and the database"
    yield (
        f"A request took {milliseconds(service)} in {there} and waited {milliseconds(queue)} for a free connection"
        f"{where(asked)} (95th percentiles, run {representative(test) + 1})."
    )
    if queue > service:
        yield _waiting(test.scenario.pool, utilisation(asked, test.scenario, cell) or 0.0)
    else:
        yield f"So it was {there}{_waits(test, run, asked)}."


def _waiting(pool: int, busy: float) -> str:
    if busy < _OFTEN_FREE:
        return (
            f"So most of it was waiting, though the pool of {pool} was only {percent(busy)} busy on average: something "
            "kept all of it for moments."
        )
    return f"So most of it was waiting: the pool of {pool} was {percent(busy)} busy. {_REMEDY}."


def _waits(test: LoadTest, run: Summary, asked: Criterion) -> str:
    """What its sessions did most at that time."""
    if run.observed is None:
        return ""
    found = run.observed.over(spans(test.scenario, asked.phase, run))
    work, most = found.at_work, found.most_work
    if most is None:
        return ""
    return f", whose sessions spent {percent(work[most] / sum(work.values()))} of their time on {wait_words(most)}"


def _wrong(test: LoadTest, run: Summary, asked: Criterion) -> Iterator[str]:
    cell = measured_cell(test.scenario, run, asked.script, asked.phase)
    ranked = sorted(cell.errors, key=lambda state: (-cell.errors[state], state))[:_MOST_KINDS]
    kinds = [f"{cell.errors[state]:,} × {state_words(state)}" for state in ranked]
    if cell.dropped:
        kinds.append(f"{counted(cell.dropped, 'request')} never answered")
    if kinds:
        yield f"What went wrong in run {representative(test) + 1}: {listed(kinds)}."
