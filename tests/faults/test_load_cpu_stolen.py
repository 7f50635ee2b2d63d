"""A machine that does not let the load generator run: that is found out, and says nothing about the database."""

import os
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from tests.support.processes import children
from tests.support.waiting import meanwhile
from wedsync_db.load import pgbench
from wedsync_db.load.criteria import read_criteria
from wedsync_db.load.engines import RUNS
from wedsync_db.load.rounds import judged
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Phase
from wedsync_db.load.scripts import Script
from wedsync_db.load.summary import summary_of
from wedsync_db.load.verdict import Verdict

pytestmark = pytest.mark.faults
PHASES = (Phase("steady", 2.5, 200, 200),)
READ = Script("read", 1, "select 1;", {})


SCENARIO = Scenario("own", "Own", "", "", "", (READ,), PHASES, (), users=10, tenants=1, pool=8)


def tell(number):
    """Send this signal to whoever generates the load: our own processes, or the pgbench on its leash."""
    held = [pid for leash in children("leash.py") for pid in children("--log-prefix", of=leash)]
    for pid in (*children("load.worker"), *held):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def stolen(share):
    """Whoever generates the load is stopped for this share of each fifth of a second."""

    def steal(is_over):
        while not is_over.is_set():
            for number, seconds in ((signal.SIGSTOP, 0.2 * share), (signal.SIGCONT, 0.2 * (1 - share))):
                tell(number)
                time.sleep(seconds)

    try:
        with meanwhile(steal):
            yield
    finally:
        tell(signal.SIGCONT)


@pytest.mark.parametrize(("engine", "said"), [("threads", "were woken"), ("pgbench", "the generator was")])
def test_it_neither_fails_nor_passes(address, monkeypatch, engine, said):
    """Whatever is asked: the server answers at once, and what was measured is the theft."""
    monkeypatch.setattr(pgbench, "_SPARE_SECONDS", 0.1)
    with stolen(0.4):
        found = summary_of(RUNS[engine](SCENARIO, address, seed=1))
    for limit in ("p(95)<5", "p(95)<500"):
        asked = read_criteria({"response_ms": [limit]}, scripts=("read",), phases=("steady",))
        result = judged(replace(SCENARIO, criteria=asked.criteria), [found, found])
        assert result.verdict is Verdict.INVALID
        assert [doubt for doubt in result.doubts if said in doubt], result.doubts
        assert result.judged[0].values[0] > 20, "it does look like a slow database"
