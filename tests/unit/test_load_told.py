"""What a load test's page says of why it ended so, and of what to do."""

from dataclasses import replace

import pytest

from tests.support.load_runs import SCENARIO, measured, summed
from tests.support.load_told import OBSERVED, SLOW, told
from wedsync_db.load.compare import USUAL, against_earlier, against_pairs
from wedsync_db.load.criteria import read_criteria
from wedsync_db.load.observed import NOT_SHOWN, Observed, Second
from wedsync_db.load.schedule import Phase
from wedsync_db.report.load.cause import causes
from wedsync_db.report.load.page import load_html
from wedsync_db.report.load.pictures import against
from wedsync_db.report.load.server import of_server, server_facts
from wedsync_db.report.load.setup import repro
from wedsync_db.report.load.tables import compared as compared_rows
from wedsync_db.report.load.told import advice, headline, reasons

SELDOM_SEEN = Observed(tuple(Second(float(n), 10, 4, {}) for n in range(20)))


def test_each_condition_that_was_not_met_is_counted():
    slower, before = ([summed(service=measured().service * n) for n in many] for many in ((30, 31, 31), (20, 21, 20)))
    compared = against_earlier(replace(SCENARIO, comparisons=USUAL), slower, before, "before 0002_two")
    test = told(*slower, scenario=replace(SLOW, criteria=SCENARIO.criteria[1:]), comparison=compared)
    assert len(reasons(test)) == 2
    assert "2 of 4 conditions were not met" in headline(test)
    alone = told(summed(), summed(), scenario=replace(SLOW, criteria=SCENARIO.criteria[1:2]))
    assert headline(alone).endswith("its condition was met in 2 runs")


@pytest.mark.parametrize(
    ("problem", "begin"),
    [
        ("pgbench lost clients, and the rest is no pool of that size: ERROR", "An error or a time-out"),
        ("generator and pgbench differ by more than 20%: at 200 a second", "The two generators"),
        ("shard 1 of 2 (generator-1): the sampler lost 9% of what it was to see", "What the server did"),
        ("run 2 before 0012_arrivals: the sampler lost 9% of what it was to see", "What the server did"),
        ("399 arrivals instead of 500", "Not all of the load"),
        ("the generator was 9.0 ms late (p99), over a tenth of the tightest limit, 50 ms", "End what else"),
    ],
)
def test_advice_is_for_what_was_wrong_and_nothing_else(problem, begin):
    run = summed()
    (first, again) = advice(told(run, replace(run, problems=(problem,))))
    assert first.startswith(begin)
    assert again.startswith("The same command")


def test_advice_is_for_everything_that_was_wrong():
    run = replace(summed(SLOW, cpu_seconds=40.0), observed=SELDOM_SEEN)
    said = advice(told(run, run))
    assert [one.split(" ", 1)[0] for one in said] == ["End", "What", "The"]


@pytest.mark.parametrize("seconds", [(), (Second(1.0, 10, 0, {}),), (Second(1.0, 10, 10, {NOT_SHOWN: 2.0}),)])
def test_what_nobody_saw_is_not_said_to_be_none(seconds):
    run = replace(summed(), observed=Observed(seconds))
    assert of_server(told(run, run), run)[1].notes == ("Not known: nobody saw what all of its sessions did.",)


def test_of_sessions_that_are_not_shown_nobody_says_what_they_did():
    hidden = replace(
        OBSERVED, seconds=tuple(replace(one, waits={NOT_SHOWN: 9.0, "CPU": 1.0}) for one in OBSERVED.seconds)
    )
    runs = [replace(summed(SLOW, service=measured().service * 60), observed=seen) for seen in (hidden, OBSERVED)]
    (work,) = (one for one in server_facts(told(*runs), runs[0]) if one.label == "Sessions at work")
    assert (work.value, work.more) == ("10", "")
    for run, says in zip(runs, (False, True), strict=True):
        assert ("of their time on" in " ".join(causes(told(run, run)))) == says


def test_the_worst_moment_of_a_long_run_is_drawn():
    long = replace(SLOW, phases=(Phase("steady", 1800, 1, 1),))
    seconds = tuple(Second(float(n), 10, 10, {"CPU": 1.0}, 40 * (n == 900)) for n in range(1800))
    run = replace(summed(), observed=Observed(seconds))
    waits, locks, _ = of_server(told(run, run, scenario=long), run)
    assert max(locks.layers[0].values) == 40
    assert set(waits.layers[0].values) == {1.0}
    assert len(locks.at) == len(locks.layers[0].values) == 225
    assert waits.notes == locks.notes == ("Each value is of 8 seconds.",)


def test_comparisons_in_two_phases_can_be_told_apart():
    asked = {"baseline.response_ms": ["p(95) ratio<1.25 @before", "p(95) ratio<1.25 @spike"]}
    phases = (Phase("before", 10, 10, 10), Phase("spike", 10, 10, 10))
    found = read_criteria(asked, scripts=(), phases=("before", "spike"))
    scenario = replace(SLOW, phases=phases, comparisons=found.comparisons)
    runs = [summed(scenario, service=measured().service * n) for n in (2, 3, 4)]
    comparison = against_earlier(scenario, runs, runs, "3 runs of earlier tests")
    test = told(*runs, scenario=scenario, comparison=comparison)
    assert [one.what for one in compared_rows(comparison)] == [
        f"95th percentile of the response in the phase {phase}" for phase in ("before", "spike")
    ]
    assert len({row.label for row in against(test).rows}) == 4


def test_pairs_are_said_to_be_pairs_and_can_be_made_again():
    runs = [summed(service=measured().service * n) for n in (2, 3, 4)]
    paired = told(*runs, comparison=against_pairs(SLOW, runs, runs, "0002_two"))
    earlier = told(*runs, comparison=against_earlier(SLOW, runs, runs, "3 runs of earlier tests"))
    assert "the change is the middle of what such two differ by" in load_html(paired)
    assert "such two" not in load_html(earlier)
    assert repro(paired).endswith("--before 0002_two")
    assert "--before" not in repro(earlier)
