"""The command load-test, killed in the middle of a run: no session, no process and no row is left."""

import os
import subprocess
import sys

import pytest

from tests.support.case import may_create_databases, write_settings
from tests.support.processes import started_with, with_environ
from tests.support.waiting import until
from wedsync_db.installation import CHECKOUT
from wedsync_db.load.leftover import beside
from wedsync_db.postgres.session import session

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]  # their waits add up to more than the usual 120
SCENARIO = """
title = "Own"
users = 100
tenants = 10
pool = 4
[scripts.write]
share = 1
file = "write.sql"
[[phases]]
name = "steady"
seconds = 600
rate = 100
[thresholds]
response_ms = ["p(95)<1000"]
"""
NAMED = {"threads": b"load.worker", "pgbench": b"--log-prefix"}  # what makes the arrivals
_SESSIONS = "select count(*) from pg_stat_activity where datname = %s"


@pytest.fixture
def command(case, cluster, prefect_server):
    """Start the verb as a process of its own; what its processes are known by."""
    from prefect.settings import PREFECT_API_URL

    case.migration("0001_arrived", "create table public.arrived (n int);", "drop table public.arrived;")
    write_settings(case.folder, "load_test = true")
    (case.folder / "own.toml").write_text(SCENARIO)
    (case.folder / "write.sql").write_text("insert into public.arrived values (:user)")
    environ = {**case.installation.environ, "PREFECT_API_URL": PREFECT_API_URL.value(), "TMPDIR": str(case.folder)}
    with may_create_databases(cluster):
        yield lambda *options: subprocess.Popen(
            [sys.executable, "-m", "flows", "load-test", "case", str(case.folder / "own.toml"), *options],
            cwd=CHECKOUT, env=environ, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.mark.parametrize("engine", ["threads", "pgbench"])
def test_a_kill_leaves_no_session_no_process_and_no_row(case, command, engine):
    place = beside(case.address)
    with command("--engine", engine, "--repeats", "1") as process:
        try:
            until(lambda: arrived(place) > 20 or process.poll() is not None)
            assert process.poll() is None
            at_work = ours(case)
            assert any(NAMED[engine] in words for words in at_work), at_work
        finally:
            process.kill()
    until(lambda: ours(case) == [])
    until(lambda: not list(case.folder.glob("wedsync-client-*")))  # a password is in there
    with session(case.admin, "test") as connection:
        until(lambda: connection.execute(_SESSIONS, (place.dbname,)).fetchone() == (0,))
    assert case.rows(f"select datname from pg_database where datname = '{place.dbname}'") == []


def arrived(place):
    try:
        with session(place, "test") as connection:
            return connection.execute("select count(*) from public.arrived").fetchone()[0]
    except Exception:  # noqa: BLE001 it is not there yet
        return 0


def ours(case):
    """The processes that were started for this case, whoever is their parent by now.

    By their variables, or, as pgbench and its leash are given few of those, by the folder in their arguments.
    """
    by_home = with_environ(f"WEDSYNC_HOME={case.installation.home.path}")
    by_home.pop(os.getpid(), None)
    return [words for words in (*by_home.values(), *started_with(case.folder)) if b"prefect" not in words]
