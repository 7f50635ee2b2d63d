"""Comparisons: slower is found, the same is not, and what could not have been seen does not pass."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.load_runs import SCENARIO, summed, took
from wedsync_db.load.compare import MOST_PAIRS, PAIRS, against_earlier, against_pairs
from wedsync_db.load.criteria import Criterion
from wedsync_db.load.rounds import Earlier, Run, in_turn, judged, repeat, with_earlier
from wedsync_db.load.stopping import KillSwitch
from wedsync_db.load.verdict import Verdict
from wedsync_db.load.worker import Progress

ASKED = (Criterion("response_ms", "p", "<", 1.10, 50, text="p50"),)


def asking(scenario=SCENARIO, asked=ASKED):
    return replace(scenario, comparisons=asked)


def runs(milliseconds, spread, many=PAIRS, seed=1):
    """Runs that each took about so long."""
    drawn = np.random.default_rng(seed).normal(np.log(milliseconds), spread, many)
    return [summed(service=took(np.exp(one))) for one in drawn]


@pytest.mark.parametrize(
    ("slower", "spread", "verdict"),
    [
        (1.0, 0.01, "PASS"),
        (1.3, 0.01, "FAIL"),
        (0.7, 0.01, "PASS"),
        (1.0, 0.5, "INCONCLUSIVE"),
        (1.3, 0.5, "INCONCLUSIVE"),
    ],
)
@pytest.mark.parametrize("against", [against_pairs, against_earlier])
def test_slower_is_found_and_noise_is_called_so(against, slower, spread, verdict):
    found = against(asking(), runs(10 * slower, spread), runs(10, spread, seed=2), "others")
    assert found.verdict is Verdict(verdict)
    (one,) = found.found
    assert one.detectable > 1
    assert ("cannot tell" in one.why) == (verdict == "INCONCLUSIVE")
    if spread < 0.1:
        assert one.ratio == pytest.approx(slower, rel=0.02)


def test_runs_without_any_spread_can_be_compared():
    same, slow = [summed()] * PAIRS, [summed(service=took(13))] * PAIRS
    for against in (against_pairs, against_earlier):
        assert against(asking(), same, same, "x").verdict is Verdict.PASS
        assert against(asking(), slow, same, "x").verdict is Verdict.FAIL


@pytest.mark.parametrize(("against", "many"), [(against_pairs, PAIRS - 1), (against_earlier, 2)])
def test_too_few_runs_say_nothing(against, many):
    found = against(asking(), runs(30, 0.01, many), runs(10, 0.01, many), "x")
    assert (found.verdict, found.found[0].ratio) == (Verdict.INCONCLUSIVE, None)
    assert "it takes" in found.found[0].why


def test_a_comparison_decides_only_where_it_is_asked_for():
    slow = runs(13, 0.01)
    shown = against_earlier(SCENARIO, slow, runs(10, 0.01), "x")
    assert [one.verdict for one in shown.found] == [Verdict.FAIL, Verdict.FAIL]
    assert judged(SCENARIO, slow, shown).verdict is Verdict.PASS
    asked = asking()
    assert judged(asked, slow, against_earlier(asked, slow, runs(10, 0.01), "x")).verdict is Verdict.FAIL


def test_pairs_are_run_in_turn_with_the_same_seed():
    calls = []

    def run(where, number):
        calls.append((where, number))
        return Run(summed(service=took((13 if where == "after" else 10) + number / 1000)))

    found, result = in_turn(asking(), "after", "before", run, "0002", lambda _: None)
    assert calls[:4] == [("before", 0), ("after", 0), ("after", 1), ("before", 1)]
    assert (len(found), len(calls), result.verdict) == (PAIRS, 2 * PAIRS, Verdict.FAIL)
    assert result.comparison.found[0].ratio == pytest.approx(1.3, rel=0.01)


def test_pairs_that_cannot_tell_are_followed_by_more():
    noise = np.random.default_rng(3)

    def run(where, _):
        return Run(summed(service=took(10 * np.exp(noise.normal(0, 0.5)))))

    found, result = in_turn(asking(), "after", "before", run, "0002", lambda _: None)
    assert (len(found), result.verdict) == (MOST_PAIRS, Verdict.INCONCLUSIVE)


def test_a_doubt_about_the_runs_before_counts_too():
    def run(where, number):
        bad = {"heartbeats": np.full(100, 20_000)} if where == "before" and number == 3 else {}
        return Run(summed(**bad))

    _, result = in_turn(asking(), "after", "before", run, "0002", lambda _: None)
    assert result.verdict is Verdict.INVALID
    assert result.doubts[0].startswith("run 4 before 0002: the generator's processes were woken")


def test_without_earlier_tests_what_asks_for_them_does_not_pass_and_is_not_repeated():
    compare = with_earlier(asking(), (), Earlier)
    seen = []
    found, result = repeat(asking(), "here", lambda _, n: seen.append(n) or Run(summed()), compare, lambda _: None)
    assert (len(found), seen) == (2, [0, 1])
    assert result.verdict is Verdict.INCONCLUSIVE
    assert with_earlier(SCENARIO, (), Earlier)([summed()]) is None
    assert with_earlier(SCENARIO, (), lambda: None)([summed()]) is None


def test_earlier_tests_are_asked_for_once_however_many_runs_there_are():
    asked = []
    compare = with_earlier(asking(), (), lambda: asked.append(1) or Earlier())
    assert [compare([summed()] * many).verdict for many in (2, 3)] == [Verdict.INCONCLUSIVE] * 2
    assert asked == [1]


def test_a_run_that_had_to_be_ended_is_the_last_and_does_not_pass():
    found, result = repeat(
        SCENARIO, "here", lambda *_: Run(summed(), "too many errors"), lambda _: None, lambda _: None
    )
    assert (len(found), result.verdict, result.ended) == (1, Verdict.FAIL, ("too many errors",))


def test_a_condition_that_ends_the_run_is_looked_at_each_second():
    asked = Criterion("response_ms", "p", "<", 100, 95, text="p(95)<100", window=3, grace=2, abort=True)

    def ends_at(p95s):
        switch = KillSwitch([asked])
        told = [switch.is_pulled(Progress(100 * n, 100 * n, 0, p95)) for n, p95 in enumerate(p95s, 1)]
        return told.index(True) + 1 if True in told else None

    assert ends_at([500, 500, 500, 500, 500, 500]) == 5
    assert ends_at([50, 50, 500, 500, 50, 500, 500, 500]) == 8
    assert ends_at([50, 50, None, None, None]) == 5, "nothing is answered any more"
    assert ends_at([50] * 20) is None
