"""Deployments as `up` serves them: server, worker and flow are processes of their own, and are stopped and killed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest

from tests.support.broken import lay_base, once_backed_up, switch_on
from tests.support.case import Case
from tests.support.served import SECONDS, Served, serving, until
from wedsync_db.filelock import lock_file, try_alone
from wedsync_db.migrate.deployment import take_fingerprint

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]

SLEEP = "do $$ begin if exists (select from public.switch) then perform pg_sleep(100); end if; end $$;"


@pytest.fixture
def served(case, tmp_path) -> Iterator[Served]:
    with serving(tmp_path) as running:
        yield running


def deployments(case: Case) -> list[tuple]:
    return case.rows("select status, epoch from wedsync_db.deployment order by started_at")


def runner(case: Case) -> int:
    ((name,),) = case.rows("select runner from wedsync_db.deployment where status = 'running'")
    return int(re.search(r"pid (\d+)", name)[1])


def sleeps(case: Case) -> bool:
    return case.rows("select exists (select from pg_stat_activity where wait_event = 'PgSleep')")[0][0]


def start_and_wait_in_the_middle(served: Served, case: Case) -> str:
    """A deployment whose first migration is committed and whose second one runs."""
    case.rows("delete from public.switch returning 1")
    with once_backed_up(case, switch_on):
        run = served.start("case_each")
        until(lambda: sleeps(case))
    return run


def test_a_served_deployment_works_is_killed_and_is_stopped(case, served):
    lay_base(case)
    run = served.start("case_each")
    until(lambda: served.state(run) in ("COMPLETED", "FAILED", "CRASHED"))
    assert served.state(run) == "COMPLETED", served.logs(run)
    assert served.page(run, "result-case-each").startswith("# Deployed")
    before = take_fingerprint(case.address).digest

    case.migration("0002_fine", "create table public.fine (id int);", "drop table public.fine;")
    case.migration("0003_slow", f"create table public.slow (id int);\n{SLEEP}", "drop table public.slow;")
    run = start_and_wait_in_the_middle(served, case)
    os.kill(runner(case), signal.SIGKILL)
    until(lambda: deployments(case)[-1] == ("rolled_back", 2))
    until(lambda: served.page(run, "result-case-each"))
    assert served.state(run) == "CRASHED"
    assert served.page(run, "result-case-each").startswith("# Interrupted: undone")
    until(lambda: "reverted 0002_fine" in served.logs(run))  # lines are sent in batches, and arrive later than pages
    assert take_fingerprint(case.address).digest == before

    start_and_wait_in_the_middle(served, case)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(SECONDS) == 0
    assert "cancelling deploy-case_each" in served.said.read_text()
    assert deployments(case)[-1] == ("rolled_back", 2)
    assert take_fingerprint(case.address).digest == before
    assert not list(case.installation.home.scratch.iterdir())
    with lock_file(case.installation.home.prefect / "up") as lock:
        assert try_alone(lock), "server and worker have ended: they hold the lock as long as they live"
