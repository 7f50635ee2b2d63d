"""pgbench as the engine of a load test: the same figures, and no verdict where it could not go on."""

import time
from dataclasses import replace

import numpy as np
import pytest

from tests.support.load_table import TABLE, sessions, stalled
from tests.support.processes import started_with
from wedsync_db.errors import Inconclusive, Unreachable
from wedsync_db.load import pgbench
from wedsync_db.load.calibration import calibrate
from wedsync_db.load.criteria import Criterion, read_criteria
from wedsync_db.load.measure import value_of
from wedsync_db.load.pgbench import run
from wedsync_db.load.rounds import judged
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Phase
from wedsync_db.load.scripts import Draw, Script
from wedsync_db.load.summary import summary_of
from wedsync_db.load.verdict import Verdict

READ = Script("read", 3, "select set_config('a.b', :user::text, true); select sum(v) from t;", {})
WRITE = Script("write", 1, "update t set v = v + :n where id = 1 + :tenant % 8;", {"n": Draw(1, 1, "few")})
CRITERIA = read_criteria(
    {"response_ms": ["p(95)<1000"], "errors": ["rate<0.01"], "dropped": ["count==0"]},
    scripts=("read", "write"),
    phases=("steady",),
).criteria
PHASES = (Phase("warm-up", 0.4, 100, 100, measured=False), Phase("steady", 1.3, 300, 300))
SCENARIO = Scenario("own", "Own", "", "", "", (READ, WRITE), PHASES, CRITERIA, users=100, tenants=10, pool=4)


@pytest.fixture(autouse=True)
def table(db):
    db.execute(TABLE)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Four connections of our own are there at once."""
    monkeypatch.setattr(pgbench, "_SPARE_SECONDS", 0.1)


def test_what_it_did_is_what_it_says(address, db):
    seen, secret = [], []

    def look(progress):
        seen.append(progress)
        secret.extend(started_with("--log-prefix"))
        return True

    found = run(SCENARIO, replace(address, password="n0t-an-argument"), seed=1, tell=look)
    assert (found.code == 0).all()
    done = db.execute("select sum(v) from t").fetchone()[0]
    assert 10 < int((found.schedule.script == 1).sum()) <= done, "what is due after a step is done, and not counted"
    assert 300 < len(found.code) < 620, "40 and 390"
    assert found.problems == ()
    assert (found.waited >= 0).all()
    assert found.service.min() > 0
    assert found.schedule.due.max() < 1.7
    assert 250 < (found.schedule.due >= 0.4).sum() < 530
    assert (np.diff(found.schedule.due) >= 0).all()
    assert [one.answered > 0 for one in seen] == [True] * len(seen) != []
    assert secret
    assert not any(b"n0t-an-argument" in words for words in secret)
    assert sessions(db) == 0
    assert 0 < found.cpu_seconds < 3


def test_timeouts_take_its_clients_and_that_is_no_verdict(address):
    scenario = replace(SCENARIO, phases=(Phase("steady", 1.8, 200, 200),), statement_timeout_ms=100)
    with stalled(address, 1.0):
        found = summary_of(run(scenario, address, seed=1))
    assert found.problems == (
        "pgbench lost clients, and the rest is no pool of that size: canceling statement due to statement timeout",
    )
    assert value_of(Criterion("dropped", "count", "==", 0), scenario, found) > 100
    assert judged(scenario, [found, found]).verdict is Verdict.INVALID


@pytest.mark.faults
def test_it_and_our_own_engine_measure_about_the_same(address):
    found = calibrate(SCENARIO, address, seed=1, seconds=2)
    assert (found.rate, found.problems) == (300, ())
    assert 0 < found.ours_ms < 1000
    assert 0.01 < found.ours_ms / found.pgbench_ms < 100, "on a busy machine; a quiet one is measured in bench/"


def test_it_can_be_ended_early(address, db):
    scenario = replace(SCENARIO, phases=(Phase("steady", 60, 50, 50), Phase("after", 60, 50, 50)))
    begun = time.monotonic()
    found = run(scenario, address, seed=1, tell=lambda _: False)
    assert time.monotonic() - begun < 30
    assert (found.code == -1).sum() > 5000
    assert sessions(db) == 0


def test_more_connections_than_there_are_is_said(address):
    with pytest.raises(Unreachable, match=r"pgbench did not begin: .*(too many clients|connection slots)"):
        run(replace(SCENARIO, pool=900), address, seed=1)


def test_one_that_is_killed_is_no_verdict(address, monkeypatch):
    monkeypatch.setattr(pgbench, "_command", lambda *_: ["/bin/sh", "-c", "kill -9 $$"])
    with pytest.raises(Inconclusive, match="pgbench ended before its time"):
        run(SCENARIO, address, seed=1)
