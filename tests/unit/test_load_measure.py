"""What a run came to, from made-up arrivals."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.load_runs import CRITERIA, SCENARIO, at, summed, took
from wedsync_db.load.criteria import Criterion
from wedsync_db.load.measure import doubts, value_of
from wedsync_db.load.observed import COUNTERS, Counted, Observed, Second
from wedsync_db.load.rounds import judged, run_line
from wedsync_db.load.safety import Safety
from wedsync_db.load.schedule import Phase
from wedsync_db.load.stopping import KillSwitch
from wedsync_db.load.summary import Summary
from wedsync_db.load.verdict import Verdict
from wedsync_db.load.worker import Progress


def test_only_what_is_measured_counts():
    run = summed(service=at(slice(0, 100), 900_000, fill=10_000))
    assert value_of(Criterion("response_ms", "p", "<", 50, 99), SCENARIO, run) == pytest.approx(10, rel=0.005)
    assert value_of(Criterion("response_ms", "avg", "<", 50), SCENARIO, run) == pytest.approx(10, rel=0.005)


def test_waiting_for_the_pool_is_part_of_the_response_and_not_of_the_service():
    run = summed(waited=at(slice(150, 200), 400_000), late=at(slice(0, 150), True, kind=np.bool_))
    assert value_of(Criterion("response_ms", "p", "<", 50, 95), SCENARIO, run) == pytest.approx(410, rel=0.005)
    assert value_of(Criterion("service_ms", "p", "<", 50, 95), SCENARIO, run) == pytest.approx(10, rel=0.005)
    assert value_of(Criterion("queue_ms", "p", "<", 50, 95), SCENARIO, run) == pytest.approx(400, rel=0.005)


def test_the_generator_s_own_lateness_is_nobody_s_queue():
    run = summed(waited=took(400))
    assert value_of(Criterion("queue_ms", "p", "<", 50, 95), SCENARIO, run) == 0


def test_what_was_never_answered_counts_with_what_it_waited():
    code = at(slice(190, 200), -1, kind=np.int16)
    run = summed(code=code, waited=at(slice(190, 200), -1), service=at(slice(190, 200), -1, fill=10_000))
    assert value_of(Criterion("response_ms", "p", "<", 50, 99), SCENARIO, run) > 1000
    assert value_of(Criterion("dropped", "count", "==", 0), SCENARIO, run) == 10
    assert value_of(Criterion("achieved", "ratio", ">", 0.98), SCENARIO, run) == pytest.approx(0.9)


def test_errors_are_counted_and_do_not_flatter_the_times():
    quick = at(slice(100, 150), 10, fill=30_000)
    run = summed(code=at(slice(100, 150), 1, kind=np.int16), service=quick, errors=("57014",))
    assert value_of(Criterion("errors", "rate", "<", 0.1), SCENARIO, run) == pytest.approx(0.5)
    assert value_of(Criterion("response_ms", "p", "<", 50, 5), SCENARIO, run) == pytest.approx(30, rel=0.005)
    assert run_line(run) == "150 answered of 200, errors 50 × 57014"


def test_by_script_and_by_phase():
    run = summed(service=np.where(np.arange(200) % 2, 80_000, 5_000))
    assert value_of(Criterion("response_ms", "p", "<", 50, 95, script="write"), SCENARIO, run) == pytest.approx(
        80, rel=0.005
    )
    assert value_of(Criterion("response_ms", "p", "<", 50, 95, "steady", "read"), SCENARIO, run) == pytest.approx(
        5, rel=0.005
    )


def test_how_busy_the_pool_was():
    assert value_of(Criterion("pool_util", "avg", "<", 0.8), SCENARIO, summed()) == pytest.approx(100 * 0.01 / (2 * 10))


def test_nothing_measured_is_no_value_and_no_verdict():
    run = summed(code=np.full(200, 1, dtype=np.int16), errors=("08006",))
    assert value_of(Criterion("service_ms", "p", "<", 50, 95), SCENARIO, run) is None
    assert judged(SCENARIO, [run, run]).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"waited": took(8)}, "the generator was 8.0 ms late"),
        ({"heartbeats": np.full(100, 20_000)}, "woken 20.0 ms late"),
        ({"cpu_seconds": 40.0}, "used 95% of its cores"),
        ({"share": 0.2}, "200 arrivals instead of 40"),
    ],
)
def test_a_run_that_says_nothing_about_the_database_is_invalid(changes, said):
    run = summed(**changes)
    assert [said in one for one in doubts(CRITERIA, run)] == [True]
    assert judged(SCENARIO, [summed(), run]).verdict is Verdict.INVALID


def test_a_good_run_has_no_doubts_and_passes():
    assert doubts(CRITERIA, summed()) == ()
    runs = [summed(), summed(service=took(10.5))]
    assert judged(SCENARIO, runs).verdict is Verdict.PASS
    slow = [summed(service=took(70)), summed(service=took(71))]
    assert judged(SCENARIO, slow).verdict is Verdict.FAIL


def test_ten_bad_seconds_pull_the_switch_and_a_good_one_between_lets_it_go():
    switch = KillSwitch()
    bad = [Progress(100 * n, 100 * n, 10 * n, 1.0) for n in range(1, 10)]
    assert not any(switch.is_pulled(one) for one in bad)
    assert not switch.is_pulled(Progress(1000, 1000, 90, 1.0))
    worse = [Progress(1000 + 100 * n, 1000 + 100 * n, 90 + 10 * n, 1.0) for n in range(1, 11)]
    assert [switch.is_pulled(one) for one in worse] == [False] * 9 + [True]


def test_the_switch_is_the_scenario_s():
    switch = KillSwitch(safety=Safety(stop_at_error_rate=0.5, stop_after_seconds=2, stop_at_lag_seconds=3))
    found = [switch.is_pulled(Progress(100 * n, 100 * n, 60 * n, 1.0)) for n in (1, 2)]
    assert (found, switch.why) == ([False, True], "more than 50% errors for 2 seconds")


def test_a_standby_that_stays_behind_ends_a_run():
    switch = KillSwitch(safety=Safety(stop_after_seconds=2, stop_at_lag_seconds=3))
    lags = [4.0, 3.0, 3.1, 3.1]
    found = [switch.is_pulled(Progress(100 * n, 100 * n, 0, 1.0), lag) for n, lag in enumerate(lags, 1)]
    assert (found, switch.why) == ([False, False, False, True], "a standby was more than 3 s behind for 2 seconds")


def test_the_worst_seconds_in_a_row_count_where_a_window_is_asked_for():
    run = summed(service=at(slice(150, 160), 900_000, fill=10_000))  # one second of ten, at 15 s
    for window, grace, expected in ((1, 0, 900), (10, 0, 10), (2, 0, 900), (1, 16, 10)):
        asked = Criterion("response_ms", "p", "<", 50, 60, window=window, grace=grace)
        assert value_of(asked, SCENARIO, run) == pytest.approx(expected, rel=0.005)


def test_how_long_it_took_to_recover():
    phases = (Phase("spike", 5, 10, 10), Phase("after", 15, 10, 10))
    scenario = replace(SCENARIO, phases=phases)
    asked = Criterion("recovery_s", "value", "<", 8, phase="spike")
    runs = [summed(scenario, service=at(slice(0, end), 900_000, fill=10_000)) for end in (50, 80, 130)]
    assert [value_of(asked, scenario, run) for run in runs] == [0, 3, 8]
    late = summed(scenario, service=at(slice(0, 160), 900_000, fill=10_000))
    assert value_of(asked, scenario, late) == 15, "not in the run: at least as long as it went on"
    assert value_of(replace(asked, limit=30), scenario, late) is None, "too short to tell"


def test_what_took_more_than_a_second_is_counted_also_when_it_failed():
    slow = at([120, 130, 140], 1_500_000, fill=10_000)
    run = summed(service=slow, code=at([140], 1, kind=np.int16), errors=("57014",))
    assert value_of(Criterion("slow_statements", "count", "==", 0), SCENARIO, run) == 3


def test_connecting_is_measured_where_it_is_done():
    asked = Criterion("connect_ms", "p", "<", 100, 95)
    assert value_of(asked, SCENARIO, summed()) is None
    assert value_of(asked, SCENARIO, summed(connect=took(7))) == pytest.approx(7, rel=0.005)


def observed(taken=10):
    """A server that finds nothing while warming up, and nine of ten blocks afterwards."""
    seconds = tuple(Second(float(n), 10, taken, {"CPU": 1.0}) for n in range(20))
    blocks = [(max(0, n - 10) * 90, min(n, 10) * 10 + max(0, n - 10) * 10) for n in range(22)]
    named = [{"blocks_hit": hit, "blocks_read": read} for hit, read in blocks]
    counted = (tuple(float(one.get(name, 0)) for name in COUNTERS) for one in named)
    return Observed(seconds, tuple(Counted(float(n), values) for n, values in enumerate(counted)))


HIT = Criterion("cache_hit", "value", ">", 0.95)


def test_the_cache_is_judged_by_the_phases_that_are_measured():
    run = replace(summed(), observed=observed())
    assert value_of(HIT, SCENARIO, run) == pytest.approx(0.9)
    both = replace(SCENARIO, phases=tuple(replace(one, measured=True) for one in SCENARIO.phases))
    assert value_of(HIT, both, run) == pytest.approx(0.9 * 1000 / 1100)
    assert value_of(HIT, SCENARIO, summed()) is None, "nobody looked"
    assert judged(replace(SCENARIO, criteria=(HIT,)), [summed()] * 2).verdict is Verdict.INVALID
    assert judged(replace(SCENARIO, criteria=(HIT,)), [run] * 2).verdict is Verdict.FAIL


def test_of_a_run_that_was_ended_the_cache_is_judged_as_far_as_it_came():
    seen = observed()
    ended = replace(summed(seconds=15.0), observed=replace(seen, counted=seen.counted[:16]))
    assert value_of(HIT, SCENARIO, ended) == pytest.approx(0.9)
    before = replace(summed(seconds=8.0), observed=observed())
    assert value_of(HIT, SCENARIO, before) is None
    found = judged(replace(SCENARIO, criteria=(HIT,)), [before], ended="too many errors")
    assert found.verdict is Verdict.FAIL, "what it did not come to does not excuse it"


def test_what_the_sampler_lost_is_a_doubt():
    assert doubts(CRITERIA, replace(summed(), observed=observed())) == ()
    run = replace(summed(), observed=observed(taken=9))
    assert doubts(CRITERIA, run) == ("the sampler lost 10% of what it was to see",)
    assert judged(SCENARIO, [run, run]).verdict is Verdict.INVALID


def test_what_was_observed_is_stored_with_the_run_and_added_up_once():
    run = replace(summed(), observed=observed())
    stored = Summary.from_bytes(run.to_bytes())
    assert value_of(HIT, SCENARIO, stored) == value_of(HIT, SCENARIO, run)
    assert Summary.sum([summed(), stored, summed()]).observed == stored.observed
