"""Servers and databases for the tests: one server of each major a session, each test with a database of its own."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from zlib import crc32

import pytest
from psycopg import sql

for name in [n for n in os.environ if n.startswith(("WEDSYNC_", "PREFECT_", "PG"))]:
    del os.environ[name]

from tests.support import leaks  # noqa: E402
from tests.support.case import PASSWORD, Case, database, environ_of, write_settings  # noqa: E402
from tests.support.figures import summary  # noqa: E402
from wedsync_db.home import Home  # noqa: E402
from wedsync_db.installation import CHECKOUT, Installation  # noqa: E402
from wedsync_db.postgres.cluster import Cluster, scratch  # noqa: E402
from wedsync_db.postgres.session import Address, session  # noqa: E402

# all of this must be there before prefect and tasks.names are imported: where results go, and the names in the forms
_BASE = Path(tempfile.mkdtemp(prefix="wedsync-tests-"))
os.environ |= {
    "DO_NOT_TRACK": "1",
    "PREFECT_HOME": str(_BASE / "prefect"),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "WEDSYNC_ENVIRONMENTS": str(write_settings(_BASE)),
}
# started in a script's background or by nohup: what the tests start would inherit that, and hear neither signal
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
_SETTINGS = {"max_prepared_transactions": "5"}  # some tests leave one in the way
_LONG_RUN_MOMENTS = 100
_numbers = itertools.count(1)
_secret = {"the targets' password": PASSWORD}
_leaks: set[str] = set()


def pytest_addoption(parser):
    """How long the tests that kill at random go on: CI takes fewer, see .ci/run."""
    parser.addoption("--moments", type=int, default=200, help="random moments at which a deployment is killed")


def pytest_collection_modifyitems(config, items):
    """On the newest major every test runs always; on the others what may take minutes runs with the faults.

    CI, which has less time, takes a test that is for 15 and 16 on one of them: half of the tests on each.
    """
    both = {}
    for item in items:
        if older := _older_major(item):
            item.add_marker("majors")
            both.setdefault(_without_major(item), {})[older] = item
    if config.getoption("moments") < _LONG_RUN_MOMENTS:
        left_out = {of[15 + crc32(name.encode()) % 2] for name, of in both.items() if len(of) > 1}
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _older_major(item):
    callspec = getattr(item, "callspec", None)
    found = {value for value in callspec.params.values() if type(value) is int} & {15, 16} if callspec else None
    return found.pop() if found else None


def _without_major(item):
    """The test by its name: the same in every process, as objects among the parameters are not."""
    return re.sub(r"(?<![\w.])1[56](?![\w.])", "*", item.nodeid, count=1)


def pytest_sessionfinish(session):
    """Fail the whole run, tests green or not, if the password of all the targets was left with Prefect."""
    _leaks.update(leaks.in_files(_BASE / "prefect", _secret))
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["leaks"] = sorted(_leaks)
    elif _leaks:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Take over what one of several processes found; this one's end comes later."""
    _leaks.update(getattr(node, "workeroutput", {}).get("leaks", ()))


def pytest_unconfigure():
    """Leave nothing behind."""
    shutil.rmtree(_BASE, ignore_errors=True)


@pytest.fixture(scope="session")
def clusters():
    """Start a server of a major on first use: `clusters(18)`; all stop at the end of the session."""
    with ExitStack() as stack:
        started: dict[int, Cluster] = {}

        def get(major: int) -> Cluster:
            if major not in started:
                started[major] = stack.enter_context(scratch(major, settings=_SETTINGS))
            return started[major]

        yield get


@pytest.fixture(params=[18])
def major(request) -> int:
    """18 unless a test asks for all: tests.support.majors.every_major."""
    return request.param


@pytest.fixture
def cluster(clusters, major) -> Cluster:
    """A running server; its superuser is `cluster.address()`."""
    return clusters(major)


def _name() -> str:
    return f"test_{os.getpid()}_{next(_numbers)}"


@pytest.fixture
def address(cluster) -> Address:
    """A fresh, empty database, owned by the superuser, dropped after the test."""
    name = _name()
    _admin(cluster, sql.SQL("create database {}").format(sql.Identifier(name)))
    yield cluster.address(name)
    _admin(cluster, sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def db(address):
    """An autocommit session in a fresh database."""
    with session(address, "test") as connection:
        yield connection


def _admin(cluster: Cluster, statement) -> None:
    with session(cluster.address(), "test-admin", statement_timeout_ms=0) as connection:
        connection.execute(statement)


@pytest.fixture
def home() -> Home:
    """A state folder of its own, where a server's account can reach it (pytest's tmp_path is closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="wedsync-home-"))
    folder.chmod(0o711)
    yield Home(folder / "home").ensure()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def case(cluster, home, tmp_path, monkeypatch) -> Case:
    """A target with an ordinary deployer, a settings file and a folder for migrations; the process works on it."""
    (tmp_path / "migrations").mkdir()
    write_settings(tmp_path)
    with database(cluster, _name()) as address:
        environ = environ_of(tmp_path, home.path, address)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield Case(tmp_path, address, cluster.address(address.dbname), Installation(CHECKOUT, dict(os.environ)))


@pytest.fixture
def environ_taken_back():
    """What a verb sets for its process is gone after the test."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture(scope="session")
def prefect_server():
    """A temporary Prefect server for the session, without the heartbeat that costs each run a second."""
    from prefect.settings import (
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_SERVER_DATABASE_CONNECTION_URL,
        temporary_settings,
    )
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=90),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield
        file = Path(PREFECT_SERVER_DATABASE_CONNECTION_URL.value().partition("///")[2])
        _leaks.update(leaks.in_files(file.parent, _secret) | leaks.in_database(file, _secret))


def pytest_terminal_summary(terminalreporter):
    """What the tests that kill counted, and why a run without failures failed."""
    summary(terminalreporter)
    for leak in sorted(_leaks):
        terminalreporter.write_line(f"LEAKED: {leak}", red=True)
