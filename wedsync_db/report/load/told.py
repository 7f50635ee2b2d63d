"""Why a load test ended as it did, and what to do about it: for whoever has never seen one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from wedsync_db.load.run import LoadTest
from wedsync_db.load.verdict import Judged, Verdict
from wedsync_db.report.load.words import capital, found, others, ratio_words, sentence, slower_than, subject
from wedsync_db.report.markdown import counted

_TONES = {Verdict.PASS: "good", Verdict.FAIL: "bad", Verdict.INCONCLUSIVE: "warn", Verdict.INVALID: "warn"}
_MOST_DOUBTS = 6
_OF_A_HUNDRED = " for one request of a hundred"
_OTHER_WORK = (
    "End what else is at work on the machine that made the load, or make it on another one; then run it again. The "
    "database needs no change for this."
)
_UNSEEN = "What the server did could not be seen often enough: its figures here say little. Run it again."
_NOT_ALL = "Not all of the load was made, or too much of it. Run it again; if it stays so, report it as a defect."
_NOTHING = (
    "A condition is about something of which nothing was measured: the scenario's phases and scripts have to give it "
    "something to measure, or the condition goes."
)
_FEWER = (
    "An error or a time-out ends a client of pgbench for good, and the others are a smaller pool: --engine threads "
    "goes on, and counts it."
)
_DISAGREE = (
    "The two generators do not agree about the same load, so that neither is believed: run it again on a machine with "
    "less other work."
)
_ADVICE: Mapping[str, str] = {  # by words that no other doubt has
    "the generator was ": _OTHER_WORK,
    "the generator's processes were ": _OTHER_WORK,
    "the generator used ": _OTHER_WORK,
    "the sampler lost ": _UNSEEN,
    " arrivals instead of ": _NOT_ALL,
    "nothing of it was measured": _NOTHING,
    "pgbench lost clients": _FEWER,
    "whether pgbench measures the same": _DISAGREE,
    "generator and pgbench differ": _DISAGREE,
}
_LOOK = (
    "The pictures below show when it was slow, whether requests waited for the database or for one of the pool's "
    "connections, and what the server was busy with."
)
_FEW = "Let it run more often: --repeats 5, for one. The interval of one or two runs is too wide to judge by."
_VARYING = (
    "The runs differ too much for this limit. On a machine with less other work, with longer phases or with more runs "
    "(--repeats, up to 10) the interval gets narrower."
)
_AGAIN = "The same command may give another answer: only this verdict is worth trying again."


def tone(verdict: Verdict) -> str:
    """The colour of a verdict."""
    return _TONES[verdict]


def headline(test: LoadTest) -> str:
    """The verdict in a sentence."""
    return _HEADLINES[test.result.verdict](test)


def reasons(test: LoadTest) -> tuple[str, ...]:
    """Why: each condition that was not met or not to be judged, as a sentence; of a pass, what the times came to."""
    return tuple(f"{capital(one.rstrip('.'))}." for one in _REASONS[test.result.verdict](test))


def advice(test: LoadTest) -> tuple[str, ...]:
    """What to do next."""
    verdict = test.result.verdict
    if verdict is Verdict.PASS:
        return ()
    if verdict is Verdict.INVALID:
        said = " ".join([*test.result.doubts, *(one.why for one in _of(test, Verdict.INVALID))])
        known = dict.fromkeys(text for words, text in _ADVICE.items() if words in said)
        return (*known, _AGAIN)
    if verdict is Verdict.INCONCLUSIVE:
        return (_more_runs(test),)
    return (_LOOK, "Running it again until it passes proves nothing.")


def _passed(test: LoadTest) -> str:
    runs = counted(len(test.runs), "run")
    met = "its condition was" if _asked(test) == 1 else f"all {_conditions(test)} were"
    return f"{test.environment} holds “{test.scenario.title}”: {met} met in {runs}"


def _failed(test: LoadTest) -> str:
    many = len(_of(test, Verdict.FAIL)) + len(_slower(test))
    if not many:
        return f"{test.environment} does not hold “{test.scenario.title}”: a run was ended before its time"
    said = f"{many} of {_conditions(test)} {_were(many)} not met"
    return f"{test.environment} does not hold “{test.scenario.title}”: {said}"


def _unsure(test: LoadTest) -> str:
    runs = counted(len(test.runs), "run")
    return f"{runs} of “{test.scenario.title}” cannot tell whether {test.environment} holds it"


def _invalid(test: LoadTest) -> str:
    said = "is no good, and says nothing about the database"
    return f"The measurement of “{test.scenario.title}” on {test.environment} {said}"


_HEADLINES: Mapping[Verdict, Callable[[LoadTest], str]] = {
    Verdict.PASS: _passed,
    Verdict.FAIL: _failed,
    Verdict.INCONCLUSIVE: _unsure,
    Verdict.INVALID: _invalid,
}


def _why_passed(test: LoadTest) -> Iterator[str]:
    timed = [one for one in test.result.judged if one.interval and one.criterion.metric == "response_ms"]
    yield from (sentence(one) for one in timed)


def _why_failed(test: LoadTest) -> Iterator[str]:
    yield from test.result.ended
    yield from (sentence(one) for one in _of(test, Verdict.FAIL))
    yield from _slower(test)
    unsure = _of(test, Verdict.INCONCLUSIVE)
    if unsure:
        yield f"of {counted(len(unsure), 'other condition')} these runs cannot tell"


def _why_unsure(test: LoadTest) -> Iterator[str]:
    for one in _of(test, Verdict.INCONCLUSIVE):
        if one.interval:
            yield f"{sentence(one)}, which lies within that"
        else:
            yield f"{subject(one.criterion)} came to {found(one)}, but {one.why}"
    if test.result.comparison and test.result.comparison.decides:
        yield from (
            f"against {others(test.result.comparison)}, {subject(one.criterion)}: {one.why}"
            for one in test.result.comparison.found
            if one.verdict is Verdict.INCONCLUSIVE
        )


def _why_invalid(test: LoadTest) -> Iterator[str]:
    yield from (one.replace(" (p99)", _OF_A_HUNDRED) for one in test.result.doubts[:_MOST_DOUBTS])
    more = len(test.result.doubts) - _MOST_DOUBTS
    if more > 0:
        yield f"and {more} more like these, which are listed below"
    yield from (sentence(one) for one in _of(test, Verdict.INVALID))


_REASONS: Mapping[Verdict, Callable[[LoadTest], Iterator[str]]] = {
    Verdict.PASS: _why_passed,
    Verdict.FAIL: _why_failed,
    Verdict.INCONCLUSIVE: _why_unsure,
    Verdict.INVALID: _why_invalid,
}


def _slower(test: LoadTest) -> list[str]:
    against = test.result.comparison
    if against is None or not against.decides:
        return []
    return [
        f"{subject(one.criterion)} is {slower_than(one.ratio or 1.0, others(against))}; "
        f"asked was less than {ratio_words(one.criterion.limit)}"
        for one in against.found
        if one.verdict is Verdict.FAIL
    ]


def _more_runs(test: LoadTest) -> str:
    return _FEW if len(test.runs) < 3 else _VARYING  # noqa: PLR2004 of two runs it is wider than anything asked


def _of(test: LoadTest, verdict: Verdict) -> list[Judged]:
    return [one for one in test.result.judged if one.verdict is verdict]


def _conditions(test: LoadTest) -> str:
    return counted(_asked(test), "condition")


def _asked(test: LoadTest) -> int:
    """How many conditions decide."""
    against = test.result.comparison
    return len(test.result.judged) + (len(against.found) if against and against.decides else 0)


def _were(many: int) -> str:
    return "was" if many == 1 else "were"
