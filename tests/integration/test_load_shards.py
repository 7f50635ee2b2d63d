"""One load test by several generators: threads here, each with the processes it would have on a machine of its own."""

import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from tests.support.case import may_create_databases, write_settings
from tests.support.load_shards import arrived, expected, scenario_of
from tests.support.majors import every_major
from tests.support.served import until
from wedsync_db.errors import Inconclusive, Refused, WedsyncError
from wedsync_db.installation import CHECKOUT
from wedsync_db.load import one_shard, shards
from wedsync_db.load.beside import load_database
from wedsync_db.load.board import board
from wedsync_db.load.histogram import Histogram
from wedsync_db.load.one_shard import take_part
from wedsync_db.load.schedule import schedule
from wedsync_db.load.shards import Shards, run_in_shards
from wedsync_db.load.summary import Summary
from wedsync_db.migrate.plan import plan_of
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import session

_LOAD = "select count(*) from pg_stat_activity where application_name in ('wedsync-db/load', 'wedsync-db/load-shard')"


@pytest.fixture
def shard_case(case, cluster):
    """An environment for load tests, whose deployer may create databases."""
    write_settings(case.folder, "load_test = true")
    with may_create_databases(cluster):
        yield case


class Started:
    """Shards as threads. `ended` is what each came to, by number."""

    def __init__(self, case, numbers):
        self._case, self._numbers = case, numbers
        self.ended = {}
        self.count = len(numbers)

    @contextmanager
    def start(self, ticket):
        threads = [threading.Thread(target=self._take_part, args=(ticket, number)) for number in self._numbers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.leave = threads

    def wait(self):
        for thread in self.leave:
            thread.join(60)
            assert not thread.is_alive()

    def _take_part(self, ticket, number):
        try:
            found = take_part(self._case.installation, "case", ticket, number, worker=f"w{number}")
        except WedsyncError as error:
            found = error
        self.ended[number] = found


@contextmanager
def beside_it(case, scenario):
    environment = case.installation.environment("case")
    with load_database(case.address, plan_of(environment.migrations, ()).pending, scenario) as address:
        yield address


def given(address):
    """What the shards handed in."""
    with session(address, "test") as connection:
        rows = connection.execute("select result from wedsync_load.shard order by number").fetchall()
    return [Summary.from_bytes(result) for (result,) in rows]


def plain(cell):
    return (cell.arrivals, cell.answered, cell.dropped, cell.response.to_text(), cell.service.to_text())


def test_two_shards_do_what_one_process_does(shard_case, monkeypatch):
    """Every arrival once, each second as many, and all times in the bins in which the shards have them."""
    monkeypatch.setattr(shards, "_TELL_SECONDS", 0.2)  # asked each second only, they might be done by the first time
    scenario, told, said = scenario_of(shard_case, 1.5), [], []
    started = Started(shard_case, [1, 2])
    with beside_it(shard_case, scenario) as address:
        found = run_in_shards(
            scenario,
            address,
            Shards(2, started.start),
            seed=7,
            tell=lambda one: told.append(one) or True,
            say=said.append,
        )
        started.wait()
        assert arrived(address) == expected(scenario, 7)
        parts = given(address)
    whole = schedule(scenario.phases, [1], scenario.users, 7)
    assert [one.arrivals for one in found.seconds] == np.bincount(whole.due.astype(int)).tolist()
    assert [one.generator.planned for one in parts] == [60.0, 60.0]
    assert [sum(one.arrivals for one in part.seconds) for part in parts] == [len(whole.due[n::2]) for n in (0, 1)]
    assert [plain(one) for one in found.seconds] == [plain(one) for one in Summary.sum(parts).seconds]
    times = Histogram.sum(one.response for part in parts for one in part.seconds)
    assert found.chosen(["steady"]).response.percentile(95) == times.percentile(95)
    assert told[-1].due > 0
    assert said == ["2 shards are ready: w1, w2"]
    assert abs(parts[0].began - parts[1].began) < 1  # here all have one clock, and may be busy
    assert abs(parts[0].began - found.began) < 1


_COORDINATOR = """
import sys
from contextlib import contextmanager
from pathlib import Path
from wedsync_db.load.beside import beside
from wedsync_db.load.scenario import read_scenario
from wedsync_db.load.shards import Shards, run_in_shards
from wedsync_db.installation import this_installation

@contextmanager
def start(ticket):
    print(ticket, flush=True)
    yield

with this_installation().target("case") as target:
    run_in_shards(
        read_scenario(Path(sys.argv[1])), beside(target), Shards(2, start), seed=1,
        tell=lambda one: print(one.answered, flush=True) or True,
    )
"""


@pytest.mark.faults
def test_shards_stop_when_their_coordinator_is_killed(shard_case, cluster):
    scenario, started = scenario_of(shard_case, 300), Started(shard_case, [1, 2])
    with (
        beside_it(shard_case, scenario),
        subprocess.Popen(
            [sys.executable, "-c", _COORDINATOR, str(shard_case.folder / "arrivals.toml")],
            cwd=CHECKOUT,
            env=dict(shard_case.installation.environ),
            stdout=subprocess.PIPE,
            text=True,
        ) as coordinator,
        started.start(coordinator.stdout.readline().strip()),
    ):
        try:
            assert any(int(answered) > 0 for answered in coordinator.stdout)
        finally:
            coordinator.kill()
        until(lambda: len(started.ended) == 2, 30)
        assert {one.message for one in started.ended.values()} == {"the load test that this is a shard of is over"}
        with session(cluster.address(), "test") as admin:
            until(lambda: admin.execute(_LOAD).fetchone() == (0,), 30)
    started.wait()


def test_a_coordinator_that_lost_its_session_says_so(shard_case, cluster):
    scenario = scenario_of(shard_case, 300)
    with (
        beside_it(shard_case, scenario) as address,
        board(address, scenario, 1, 2) as there,
        session(cluster.address(), "test") as admin,
    ):
        admin.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
            "where application_name = 'wedsync-db/load-shards'"
        )
        with pytest.raises(Inconclusive, match="lost the session by which its shards know it"):
            there.look()


@pytest.mark.parametrize(
    ("name", "found", "said"),
    [
        ("schedule_digest", "another", "this machine computes another schedule"),
        ("cost_of_sending", 0.5, "arrivals wants 50 arrivals a second, and this machine can send about"),
    ],
)
def test_a_shard_that_cannot_ends_the_test_with_its_reason(shard_case, monkeypatch, name, found, said):
    monkeypatch.setattr(one_shard, name, lambda *_: found)
    scenario, started = scenario_of(shard_case, 300), Started(shard_case, [2])
    with beside_it(shard_case, scenario) as address:
        with pytest.raises(Inconclusive, match=rf"shard 2 of 2 \(w2\) failed: {said}"):
            run_in_shards(scenario, address, Shards(2, started.start), seed=1, tell=lambda _: True)
        started.wait()


def test_shards_that_do_not_come_are_named(shard_case, monkeypatch):
    monkeypatch.setattr(shards, "READY_SECONDS", 0.5)
    scenario, started = scenario_of(shard_case, 300), Started(shard_case, [])
    with beside_it(shard_case, scenario) as address:
        with pytest.raises(Inconclusive, match="shard 1, 2 of 2 was not ready within") as caught:
            run_in_shards(scenario, address, Shards(2, started.start), seed=1, tell=lambda _: True)
    assert "prefect worker start --pool wedsync-db-load" in caught.value.hint


@every_major
def test_nobody_starts_a_shard_by_hand(shard_case):
    installation = shard_case.installation

    def taken(ticket, number, environment="case"):
        return take_part(installation, environment, ticket, number, worker="by hand")

    with pytest.raises(Refused, match="no load test with the ticket made-up is under way"):
        taken("made-up", 1)
    scenario = scenario_of(shard_case, 300)
    with beside_it(shard_case, scenario) as address:
        with pytest.raises(Refused, match="no load test with the ticket made-up is under way"):
            taken("made-up", 1)
        with board(address, scenario, 1, 2) as there:
            for number in (0, 3):
                with pytest.raises(Refused, match=f"the load test has no shard {number}"):
                    taken(there.ticket, number)
            with pytest.raises(Refused, match="no load test with the ticket made-up is under way"):
                taken("made-up", 1)
            with session(address, "test") as other:
                other.execute(query("load_shards", "hold"), {"key": 1001})
                with pytest.raises(Refused, match="shard 1 of this load test is taken already"):
                    taken(there.ticket, 1)
            ticket = there.ticket
        with pytest.raises(Refused, match=f"the ticket {ticket} is under way"):
            taken(ticket, 1)
    write_settings(shard_case.folder)
    with pytest.raises(Refused, match="case is not for load tests"):
        taken(ticket, 1)
