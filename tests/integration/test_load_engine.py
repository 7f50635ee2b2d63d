"""The generator against a real server: due times hold whatever the server does, and nothing is dropped silently."""

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.support.load_table import TABLE, sessions, stalled
from tests.support.processes import children, started_with
from tests.support.waiting import eventually
from wedsync_db.errors import Inconclusive, Unreachable
from wedsync_db.load.criteria import read_criteria
from wedsync_db.load.engine import run
from wedsync_db.load.measure import doubts, value_of
from wedsync_db.load.rounds import judged
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Phase, schedule
from wedsync_db.load.scripts import Draw, Script, tenant_key
from wedsync_db.load.summary import summary_of
from wedsync_db.load.verdict import Verdict, judge_one

READ = Script("read", 1, "select pg_catalog.sum(v) from t;", {})
WRITE = Script("write", 1, "update t set v = v + :n where id = 1 + :user % 8;", {"n": Draw(1, 1)})
CRITERIA = read_criteria(
    {"response_ms": ["p(95)<500"], "service_ms": ["p(95)<500"], "errors": ["rate<0.01"], "leaks": ["count==0"]},
    scripts=("read", "write"),
    phases=("steady",),
).criteria
P95, SERVICE_P95 = CRITERIA[:2]
SCENARIO = Scenario(
    "own", "Own", "", "", "", (READ, WRITE), (Phase("steady", 3, 200, 200),), CRITERIA, users=100, tenants=10, pool=8
)


@pytest.fixture
def table(db):
    db.execute(TABLE)


def test_all_is_done_once_and_when_it_was_due(address, db, table):
    seen = []
    found = run(SCENARIO, address, seed=1, tell=lambda progress: seen.append(progress) or True)
    assert (found.code == 0).all()
    planned = schedule(SCENARIO.phases, [1, 1], 100, seed=1)
    assert np.array_equal(found.schedule.due, planned.due)
    assert db.execute("select sum(v) from t").fetchone()[0] == int((planned.script == 1).sum())
    assert (found.waited >= 0).all(), "nothing before its time"
    assert found.service.min() > 0
    assert [one.answered <= one.due for one in seen] == [True] * len(seen) != []
    assert sessions(db) == 0


@pytest.mark.faults
def test_two_parts_are_the_whole(address, db, table):
    scenario = replace(SCENARIO, phases=(Phase("steady", 1, 200, 200),))
    parts = [run(scenario, address, seed=4, part=(number, 2)) for number in range(2)]
    planned = schedule(scenario.phases, [1, 1], 100, seed=4)
    assert np.array_equal(np.sort(np.concatenate([part.schedule.due for part in parts])), planned.due)
    assert db.execute("select sum(v) from t").fetchone()[0] == int((planned.script == 1).sum())
    assert [doubt for part in parts for doubt in doubts(CRITERIA, summary_of(part)) if "arrivals" in doubt] == []


@pytest.mark.faults
def test_a_server_that_stalls_is_waited_for_from_when_it_was_due(address, db, table):
    """Half of the run: measured from the sending, most of what waits would never be seen."""
    scenario = replace(SCENARIO, phases=(Phase("steady", 6, 200, 200),))
    with stalled(address, 3.0):
        found = run(scenario, address, seed=2)
    assert (found.code == 0).all()
    response, service = (value_of(one, scenario, summary_of(found)) for one in (P95, SERVICE_P95))
    # arrivals in the stall wait between nothing and all of it; a pool of eight sends eight of them
    assert response > 1000
    assert service < response / 3
    assert judge_one(P95, (response, response * 1.01)).verdict is Verdict.FAIL
    assert judged(scenario, [summary_of(found)] * 2).verdict is not Verdict.PASS


def test_timeouts_end_nothing_and_pass_nothing(address, db, table):
    scenario = replace(SCENARIO, statement_timeout_ms=100)
    with stalled(address, 2.0):
        found = run(scenario, address, seed=3)
    assert found.errors == ("57014",)
    assert (found.code == 1).sum() > 20
    assert (found.code == 0).sum() > 50, "it goes on afterwards"
    result = judged(scenario, [summary_of(found)] * 2)
    assert [one.verdict for one in result.judged if one.criterion.metric == "errors"] == [Verdict.FAIL]
    assert result.verdict is not Verdict.PASS


def test_what_has_waited_too_long_is_dropped_and_said(address, db, table):
    scenario = replace(SCENARIO, max_backlog_seconds=0.2)
    with stalled(address, 1.5):
        found = run(scenario, address, seed=3)
    dropped = found.code == -1
    assert dropped.sum() > 20
    assert (found.response[dropped] > 200_000).all()


def test_a_row_of_another_tenant_is_noticed(address, db):
    mine = f"select '{tenant_key(0)[:-12]}' || lpad(to_hex(:tenant), 12, '0');"
    foreign = f"select '{tenant_key(0)[:-12]}' || lpad(to_hex((:tenant + :n) % :tenants), 12, '0');"
    quick = (Phase("steady", 1, 100, 100),)
    good = Script("good", 1, mine, {}, tenant_column=0)
    bad = Script("bad", 1, foreign, {"n": Draw(0, 1)}, tenant_column=0)
    assert run(replace(SCENARIO, scripts=(good,), phases=quick), address, seed=1).leaks == 0
    assert run(replace(SCENARIO, scripts=(bad,), phases=quick), address, seed=1).leaks > 20


def test_sessions_that_the_server_ends_are_errors_and_come_back(address, db, table):
    ended = []

    def end(_):
        if not ended:
            query = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'wedsync-db/load'"
            ended.extend(db.execute(query).fetchall())
        return True

    found = run(SCENARIO, address, seed=1, tell=end)
    assert len(ended) == SCENARIO.pool
    assert set(found.errors) <= {"57P01", "08006"}
    assert 0 < (found.code > 0).sum() <= 2 * SCENARIO.pool, "each is noticed once, and connects again"
    assert (found.code[-100:] == 0).all()


def test_a_metric_that_nothing_was_measured_of_passes_nothing(address, table):
    rare = replace(WRITE, share=1e-9)
    asked = read_criteria(
        {"response_ms": ["p(95)<60000"], "response_ms{script=write}": ["p(95)<60000"]},
        scripts=("read", "write"),
        phases=("steady",),
    ).criteria
    quick = (Phase("steady", 1, 100, 100),)
    scenario = replace(SCENARIO, scripts=(READ, rare), phases=quick, criteria=asked)
    found = summary_of(run(scenario, address, seed=1))
    result = judged(scenario, [found, found])
    assert [one.verdict for one in result.judged][1] is Verdict.INVALID
    assert result.judged[1].why == "nothing of it was measured"
    assert result.verdict is Verdict.INVALID


def test_it_can_be_ended_early(address, db, table):
    scenario = replace(SCENARIO, phases=(Phase("steady", 60, 100, 100),))
    begun = time.monotonic()
    found = run(scenario, address, seed=1, tell=lambda _: False)
    assert time.monotonic() - begun < 30
    assert (found.code == -1).sum() > 4000
    assert sessions(db) == 0


def test_a_process_that_is_killed_is_no_verdict_and_leaves_no_session(address, db, table):
    scenario = replace(SCENARIO, phases=(Phase("steady", 60, 100, 100),))

    def kill(_):
        os.kill(children("load.worker")[0], signal.SIGKILL)
        return True

    with pytest.raises(Inconclusive, match="ended before its time"):
        run(scenario, address, seed=1, tell=kill)
    assert children("load.worker") == []
    assert eventually(lambda: sessions(db) == 0)


def test_more_connections_than_there_are_is_said_before_anything_is_sent(address, db, table):
    with pytest.raises(Unreachable, match="no connections"):
        run(replace(SCENARIO, pool=2000), address, seed=1)
    assert db.execute("select sum(v) from t").fetchone()[0] == 0


def test_no_password_is_an_argument(address, db, table):
    secret, seen = "0ther-w0rd-77x", []
    user = f"load_{address.dbname}"
    db.execute(f"create role {user} login password '{secret}'; grant all on t to {user}")
    try:

        def look(_):
            seen.extend(started_with("load.worker"))
            return True

        run(
            replace(SCENARIO, phases=(Phase("steady", 2, 50, 50),)),
            replace(address, user=user, password=secret),
            seed=1,
            tell=look,
        )
    finally:
        db.execute(f"drop owned by {user}; drop role {user}")
    assert seen
    assert not any(secret.encode() in words for words in seen)
    assert started_with(secret) == []
