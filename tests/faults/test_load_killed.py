"""The command load-test, killed in the middle of a run: no session, no process and no row is left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.case import ROLE, write_settings
from tests.support.waiting import until
from wedsync_db.installation import CHECKOUT
from wedsync_db.load.leftover import beside
from wedsync_db.postgres.session import session

pytestmark = pytest.mark.faults
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
_SESSIONS = "select count(*) from pg_stat_activity where datname = %s"


@pytest.fixture
def command(case, cluster, prefect_server):
    """Start the verb as a process of its own; what its processes are known by."""
    from prefect.settings import PREFECT_API_URL

    case.migration("0001_arrived", "create table public.arrived (n int);", "drop table public.arrived;")
    write_settings(case.folder, "load_test = true")
    (case.folder / "own.toml").write_text(SCENARIO)
    (case.folder / "write.sql").write_text("insert into public.arrived values (:user)")
    environ = {**case.installation.environ, "PREFECT_API_URL": PREFECT_API_URL.value()}
    with session(cluster.address(), "test") as admin:
        admin.execute(f"alter role {ROLE} createdb")
        try:
            yield lambda *options: subprocess.Popen(
                [sys.executable, "-m", "flows", "load-test", "case", str(case.folder / "own.toml"), *options],
                cwd=CHECKOUT, env=environ, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        finally:
            admin.execute(f"alter role {ROLE} nocreatedb")  # other tests of this server share it


@pytest.mark.parametrize("engine", ["threads", "pgbench"])
def test_a_kill_leaves_no_session_no_process_and_no_row(case, command, engine):
    place = beside(case.address)
    with command("--engine", engine, "--repeats", "1") as process:
        try:
            until(lambda: arrived(place) > 20 or process.poll() is not None)
            assert process.poll() is None
        finally:
            process.kill()
    until(lambda: ours(case) == [])
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
    """The processes that were started for this case, whoever is their parent by now."""
    mark, found = f"WEDSYNC_HOME={case.installation.home.path}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / "cmdline").read_bytes()
            if mark in (folder / "environ").read_bytes().split(b"\0") and b"prefect" not in words:
                found.append(words)
        except OSError:
            continue
    return found
