"""What a load test may do at the most, when it is not begun, and what this machine can send."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.load_runs import PHASES, SCENARIO, measured, took
from wedsync_db.errors import Refused, UsageError
from wedsync_db.load.calibration import Calibration, calibrate, doubts_of, short_run
from wedsync_db.load.feasible import cost_of_sending, expected, require_rate
from wedsync_db.load.safety import (
    Safety,
    read_safety,
    require_confirmed,
    require_no_freeze,
    require_within,
)
from wedsync_db.load.scenario import read_scenario, shipped, with_options
from wedsync_db.load.schedule import Phase
from wedsync_db.settings import Environment, GuardSettings

FRIDAY = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)  # half an hour before the freeze
SATURDAY = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)


def test_the_defaults_hold_and_are_read():
    assert read_safety({}, "x.toml: safety") == Safety()
    given = {"most_connections": 900, "stop_at_error_rate": 0.5, "disk_mb": 10}
    assert read_safety(given, "x.toml: safety") == Safety(most_connections=900, stop_at_error_rate=0.5, disk_mb=10)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"most_connections": 1001}, "must be between 1 and 1000"),
        ({"most_rate": 50_001}, "must be between 1 and 50000"),
        ({"most_seconds": 86_401}, "must be between 1 and 86400"),
        ({"stop_at_error_rate": 5}, "stop_at_error_rate is a share of one"),
        ({"stop_after_seconds": 0}, "must be between 1 and 600"),
        ({"most_users": 5}, "most_users"),
    ],
)
def test_beyond_what_anybody_means_is_refused(given, said):
    with pytest.raises(UsageError, match=said):
        read_safety(given, "x.toml: safety")


@pytest.mark.parametrize(
    ("safety", "said"),
    [
        (Safety(most_connections=1), r"s: 2 connections are more than \[safety\] allows, 1"),
        (Safety(most_rate=9), r"s: 10 arrivals a second are more than \[safety\] allows, 9"),
        (Safety(most_seconds=19), r"s: 20 seconds a run are more than \[safety\] allows, 19"),
    ],
)
def test_a_scenario_keeps_to_its_limits(safety, said):
    require_within(Safety(), 2, PHASES, "s")
    with pytest.raises(UsageError, match=said) as caught:
        require_within(safety, 2, PHASES, "s")
    assert "in [safety]" in caught.value.hint


def test_the_highest_moment_of_a_ramp_counts():
    with pytest.raises(UsageError, match="500 arrivals a second"):
        require_within(Safety(most_rate=499), 2, [Phase("rise", 5, 1, 500)], "s")


def test_rows_need_room_by_tenants_unless_it_is_known():
    assert Safety().needed_mb(1000) == 1500
    assert Safety(disk_mb=0).needed_mb(1000) == 0


def env(freeze="refuse", *, approval=False):
    guard = GuardSettings(freeze=freeze)
    return Environment(name="staging", embedded_major=18, guard=guard, load_test=True, approval=approval)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (SATURDAY, "nobody runs load tests on a weekend: staging is frozen since Fri 2026-11-20 18:00"),
        (
            FRIDAY,
            "the load test could last until Fri 2026-11-20 18:30 UTC, into the freeze from Fri",
        ),
    ],
)
def test_a_freeze_refuses_or_warns_by_the_environment_s_policy(now, said):
    with pytest.raises(Refused, match=said) as caught:
        require_no_freeze(env(), now, 3600)
    assert "Mon 2026-11-23 00:00" in caught.value.hint
    lines = []
    require_no_freeze(env("warn"), now, 3600, lines.append)
    assert len(lines) == 1
    assert lines[0].startswith("warning: ")
    require_no_freeze(env("off"), now, 3600, lines.append)
    assert len(lines) == 1


def test_outside_of_a_freeze_nothing_is_said():
    require_no_freeze(env(), FRIDAY, 1799, pytest.fail)
    require_no_freeze(env(), MONDAY, 3600, pytest.fail)


def test_an_environment_that_asks_for_approval_wants_its_name_each_time():
    require_confirmed(env(), None)
    require_confirmed(env(approval=True), "staging")
    with pytest.raises(Refused, match="asks for approval") as refused:
        require_confirmed(env(approval=True), None)
    assert "--confirm staging" in refused.value.hint
    with pytest.raises(UsageError, match="--confirm names another environment"):
        require_confirmed(env(), "production")


def test_what_comes_is_said_before_it_runs():
    spike = read_scenario(shipped()["spike"])
    assert expected(spike).splitlines() == [
        "1,100 arrivals a second, 2,000 at the most: 10,000 users, each every 5 s",
        "100 connections are 80% busy when each arrival has one for 40 ms",
    ]


def test_a_rate_that_this_machine_cannot_send_is_refused():
    fast = replace(SCENARIO, phases=(Phase("steady", 10, 20_000, 20_000),))
    require_rate(fast, 10e-6)
    with pytest.raises(Refused, match=r"s wants 20,000 arrivals a second, and this machine can send about \d"):
        require_rate(fast, 100e-6)


def test_what_sending_costs_is_measured_without_a_server():
    assert 1e-6 < cost_of_sending(read_scenario(shipped()["users_1000"])) < 0.1


@pytest.mark.parametrize(
    ("ours", "theirs", "problems", "said"),
    [
        (10.0, 10.0, (), []),
        (11.4, 10.0, (), []),
        (11.6, 10.0, (), ["differ by more than 15%: at 10 a second the generator measures 11.60 ms"]),
        (8.4, 10.0, (), ["differ by more than 15%"]),
        (0.35, 0.2, (), []),  # so little is how differently two programs are woken
        (None, 10.0, (), ["nobody knows whether pgbench measures the same"]),
        (10.0, None, (), ["nobody knows whether pgbench measures the same"]),
        (10.0, 10.0, ("pgbench lost clients",), ["pgbench lost clients"]),
    ],
)
def test_figures_that_pgbench_does_not_confirm_are_a_doubt(ours, theirs, problems, said):
    found = doubts_of(Calibration(10.0, ours, theirs, problems))
    assert len(found) == len(said)
    assert all(part in one for part, one in zip(said, found, strict=True))


def test_the_two_run_in_turn_at_the_scenario_s_own_rate():
    turns = []

    def engine(name, milliseconds):
        def run(scenario, _address, *, seed):
            turns.append((name, seed, scenario.phases))
            return measured(service=took(milliseconds))

        return run

    found = calibrate(SCENARIO, None, seed=7, seconds=8, ours=engine("ours", 10), theirs=engine("pgbench", 30))
    assert (found.rate, found.ours_ms, found.pgbench_ms) == (10.0, 10.0, 30.0)
    assert [(name, seed) for name, seed, _ in turns] == [("ours", 7), ("pgbench", 8), ("pgbench", 9), ("ours", 10)]
    assert {phases for _, _, phases in turns} == {(Phase("calibration", 2, 10, 10),)}
    assert len(doubts_of(found)) == 1


def test_a_calibration_is_no_load_test_of_its_own():
    assert short_run(read_scenario(shipped()["users_5000"]), 2).phases == (Phase("calibration", 2, 1000, 1000),)
    assert short_run(read_scenario(shipped()["spike"]), 2).phases[0].rate == 1000, "the measured mean is 1,100"


def test_a_scenario_says_its_limits(tmp_path):
    text = shipped()["users_1000"].read_text().replace('"scripts/', f'"{shipped()["users_1000"].parent}/scripts/')
    file = tmp_path / "own.toml"
    file.write_text(f"{text}\n[safety]\nmost_connections = 30\n")
    scenario = read_scenario(file)
    assert scenario.safety == Safety(most_connections=30)
    with pytest.raises(UsageError, match="own: 31 connections are more"):
        with_options(scenario, pool=31)
    file.write_text(f"{text}\n[safety]\nmost_rate = 199\n")
    with pytest.raises(UsageError, match=r"own\.toml: 200 arrivals a second are more"):
        read_scenario(file)
