"""A load test on two Prefect workers, and what is left of it when a part of it is killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.case import Case, database, environ_of, may_create_databases, write_settings
from tests.support.load_shards import arrived, expected, scenario_of, write_scenario
from tests.support.processes import with_environ
from tests.support.served import Asked, until
from wedsync_db.cli.serving import _QUIET
from wedsync_db.home import Home
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.load.beside import load_database
from wedsync_db.load.options import LOAD_POOL
from wedsync_db.load.scenario import read_scenario
from wedsync_db.load.schedule import schedule
from wedsync_db.load.shards import run_in_shards
from wedsync_db.load.summary import Summary
from wedsync_db.migrate.plan import plan_of
from wedsync_db.postgres.session import session

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]  # their waits add up to more than the usual 120
_NAMES = ("machine-a", "machine-b")
_BUSY = "select count(*) from pg_stat_activity where application_name = 'wedsync-db/load' and query like '%arrived%'"
_SESSIONS = "select count(*) from pg_stat_activity where application_name like 'wedsync-db/load%'"
_DATABASES = "select datname from pg_database where datname like '%\\_load'"


@dataclass(frozen=True)
class Machines(Asked):
    """Two workers of the pool of load generators, each a process of its own, on one case."""

    case: Case
    environ: dict[str, str]

    def prefect(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self.process("-m", "prefect", *arguments)

    def process(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.case.folder / "said").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, *arguments], cwd=CHECKOUT, env=self.environ, stdin=subprocess.DEVNULL,
                stdout=said, stderr=said,
            )  # fmt: skip

    def said(self) -> str:
        return (self.case.folder / "said").read_text()

    def runs(self, but: Collection[str] = ()) -> list[dict]:
        """The runs of shards."""
        found = self.ask("/flow_runs/filter", {"flows": {"name": {"any_": ["load_shard"]}}})
        return [run for run in found if run["id"] not in but]

    def ended(self, before: Collection[str], *how: str) -> list[dict]:
        """The runs that were not there before, once they ended so."""
        until(lambda: sorted(run["state"]["name"] for run in self.runs(before)) == sorted(how), 90)
        return self.runs(before)

    def shard_of(self, name: str) -> int:
        """The process of the run that a worker looks after."""
        ours = with_environ(f"WEDSYNC_HOME={self.environ['WEDSYNC_HOME']}", f"PREFECT__WORKER_NAME={name}")
        found = [pid for pid, words in ours.items() if b"-m" in words.split(b"\0")]
        assert found, f"no run of {name}:\n{self.said()}"
        return found[0]


@pytest.fixture(scope="module")
def machines(prefect_server, clusters):
    from prefect.settings import PREFECT_API_URL

    folder = Path(tempfile.mkdtemp(prefix="wedsync-shards-"))
    folder.chmod(0o711)
    cluster = clusters(18)
    with database(cluster, f"shards_{os.getpid()}") as address, may_create_databases(cluster):
        write_settings(folder, "load_test = true")
        environ = dict(environ_of(folder, Home(folder / "home").ensure().path, address))
        api = PREFECT_API_URL.value()
        whole = {**os.environ, **environ, **_QUIET, "PREFECT_API_URL": api, "PREFECT_WORKER_QUERYSECONDS": "1"}
        whole |= {"PREFECT_HOME": str(folder / "prefect")}
        case = Case(folder, address, cluster.address(address.dbname), Installation(CHECKOUT, whole))
        with working(Machines(api, case, whole)) as made:
            yield made
    shutil.rmtree(folder)


@contextmanager
def working(made: Machines):
    made.ask("/work_pools/", {"name": LOAD_POOL, "type": "process", "base_job_template": template()})
    deploying = made.prefect("--no-prompt", "deploy", "-n", "load_shard")
    start = ("worker", "start", "--pool", LOAD_POOL, "--type", "process", "--limit", "1", "--name")
    workers = [made.prefect(*start, name) for name in _NAMES]
    try:
        assert deploying.wait(120) == 0, made.said()
        yield made
    finally:
        deploying.kill()  # if it hangs
        deploying.wait()
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        for worker in workers:
            worker.wait(60)


def template() -> dict:
    """What `prefect work-pool create` would have the pool do."""
    from prefect.workers.process import ProcessWorker

    return ProcessWorker.get_default_base_job_template()


def test_two_shards_on_two_workers_are_one_load_test(machines):
    from tasks.shards import shards_of

    case, said, before = machines.case, [], [run["id"] for run in machines.runs()]
    scenario = scenario_of(case, 2.5)
    pending = plan_of(case.installation.environment("case").migrations, ()).pending
    with load_database(case.address, pending, scenario) as address:
        found = run_in_shards(scenario, address, shards_of("case", 2), seed=3, tell=lambda _: True, say=said.append)
        assert arrived(address) == expected(scenario, 3)
        with session(address, "test") as connection:
            rows = connection.execute("select worker, result from wedsync_load.shard order by number").fetchall()
    whole = schedule(scenario.phases, [1], scenario.users, 3)
    parts = [Summary.from_bytes(result) for _, result in rows]
    assert {name for name, _ in rows} == set(_NAMES)
    assert said == [f"2 shards are ready: {rows[0][0]}, {rows[1][0]}"]
    assert [one.arrivals for one in found.seconds] == [
        sum(one) for one in zip(*([cell.arrivals for cell in part.seconds] for part in parts), strict=True)
    ]
    assert sum(one.arrivals for one in found.seconds) == len(whole)
    times = Summary.sum(parts).chosen(["steady"]).response
    ours = found.chosen(["steady"]).response
    assert [ours.percentile(percent) for percent in (50, 95, 99)] == [times.percentile(p) for p in (50, 95, 99)]
    runs = machines.ended(before, "Completed", "Completed")
    assert [set(run["parameters"]) for run in runs] == [{"environment", "ticket", "number"}] * 2


def test_two_shards_come_to_a_verdict(machines):
    """From the command line to the report."""
    case, before = machines.case, [run["id"] for run in machines.runs()]
    scenario_of(case, 2.5)
    path = write_scenario(case.folder, seconds=2.5, repeats=2)
    coordinator = machines.process("-m", "flows", "load-test", "case", str(path), "--shards", "2", "--seed", "5")
    assert coordinator.wait(200) in (0, 5), machines.said()  # 5 where this machine was too busy to tell
    (report, *_) = sorted((case.installation.home.path / "reports").glob("load-case-arrivals-*.json"))
    told = json.loads(report.read_text())
    assert told["verdict"] in ("PASS", "INVALID")
    whole = sum(expected(read_scenario(path), 5).values())
    assert told["each_run"][0]["arrivals"] == whole
    assert "--shards 2" in told["again"]
    assert not [one for one in told["each_run"][0]["server"]["statements"] if "wedsync_load" in one["text"]]
    machines.ended(before, *["Completed"] * 2 * len(told["each_run"]) * (1 if told["verdict"] == "PASS" else 2))
    assert case.rows(_DATABASES) == []


def test_shards_that_nobody_waits_for_any_more_are_called_off(machines):
    from tasks.shards import shards_of

    before = [run["id"] for run in machines.runs()]
    with shards_of("case", 3).start("of a test that is over"):
        pass
    machines.ended(before, *["Cancelled"] * 3)


def test_a_shard_that_is_killed_is_no_verdict_and_leaves_nothing(machines):
    """From the command line to the exit code: the flow, its shards on the workers, and what is left of them."""
    case, before = machines.case, [run["id"] for run in machines.runs()]
    scenario_of(case, 300)
    words = ("-m", "flows", "load-test", "case", str(case.folder / "arrivals.toml"), "--shards", "2")
    coordinator = machines.process(*words)
    until(lambda: case.rows(_BUSY)[0][0] > 1 or coordinator.poll() is not None)
    assert coordinator.poll() is None, machines.said()
    os.kill(machines.shard_of(_NAMES[1]), signal.SIGKILL)
    assert coordinator.wait(100) == 5, machines.said()
    assert re.search(rf"shard [12] of 2 \({_NAMES[1]}\) was lost", machines.said())
    assert case.rows(_DATABASES) == []
    until(lambda: case.rows(_SESSIONS) == [(0,)], 60)
    machines.ended(before, "Crashed", "Inconclusive")
