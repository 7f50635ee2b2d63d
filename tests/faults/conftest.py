"""The database that the broken deployments start from: deployed once on each major, then copied by template."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.both_ways import Round, take_a_round
from tests.support.broken import LOCKS, lay_base
from tests.support.case import Case, database, environ_of, write_settings
from tests.support.cutting import copy, prepared_on  # noqa: F401 - fixtures of several files
from tests.support.peers import Tool, the_tool
from tests.support.prefect_parts import Parts, serving
from tests.support.prefect_targets import Targets
from wedsync_db.filelock import exclusive
from wedsync_db.home import Home
from wedsync_db.installation import CHECKOUT, Installation

_numbers = itertools.count(1)
_LONG_RUN_MOMENTS = 100


@pytest.fixture(scope="session")
def bases(clusters, prefect_server, tmp_path_factory):
    """The name of the base's database on a cluster of a major, deployed by the flow on first use: `bases(18)`."""
    from flows.deploy import deploy

    made: dict[int, str] = {}
    open_databases = []

    def get(major: int) -> str:
        if major not in made:
            cluster, folder = clusters(major), tmp_path_factory.mktemp("base")
            home = Path(tempfile.mkdtemp(prefix="wedsync-home-"))
            home.chmod(0o711)
            keeper = database(cluster, f"base_{os.getpid()}")
            address = keeper.__enter__()
            open_databases.append(keeper)
            environ = environ_of(folder, Home(home / "home").ensure().path, address)
            case = Case(folder, address, cluster.address(address.dbname), Installation(CHECKOUT, environ))
            write_settings(folder)
            lay_base(case)
            with pytest.MonkeyPatch.context() as patch:
                for name, value in environ.items():
                    patch.setenv(name, value)
                assert deploy("case", return_state=True).is_completed()
            made[major] = address.dbname
        return made[major]

    yield get
    for keeper in reversed(open_databases):
        keeper.__exit__(None, None, None)


@pytest.fixture
def based(cluster, major, bases, home, tmp_path, monkeypatch) -> Case:
    """A case on which the base is deployed already."""
    with database(cluster, f"based_{os.getpid()}_{next(_numbers)}", bases(major)) as address:
        environ = environ_of(tmp_path, home.path, address)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        case = Case(tmp_path, address, cluster.address(address.dbname), Installation(CHECKOUT, dict(os.environ)))
        write_settings(tmp_path, locks=LOCKS)
        lay_base(case)
        yield case


@pytest.fixture(scope="session")
def tool(prefect_server) -> Tool:
    """The command line: `tool("deploy", "case")` is a process of its own."""
    from prefect.settings import PREFECT_API_URL

    with the_tool(PREFECT_API_URL.value()) as tool:
        yield tool


@pytest.fixture(scope="session")
def both_ways(clusters, request, tmp_path_factory) -> Round:
    """What became of a round of deployments; taken once, by the first of pytest's processes that needs it."""
    shared = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # one of several processes
        shared = shared.parent
    kept = shared / "both-ways.json"
    with exclusive(shared / "both-ways.lock"):
        if not kept.exists():
            kept.write_text(take_a_round(tmp_path_factory.mktemp("both-ways"), clusters(18)).to_json())
    return Round.from_json(kept.read_text())


@pytest.fixture(scope="session")
def targets(clusters, tmp_path_factory) -> Iterator[Targets]:
    """Environments that the served Prefect of `parts` knows."""
    folder = Path(tempfile.mkdtemp(prefix="wedsync-home-"))
    folder.chmod(0o711)
    yield Targets(clusters(18), tmp_path_factory.mktemp("targets"), Home(folder / "home").ensure())
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def served_parts(targets) -> Iterator[Parts]:
    with serving(targets.home, targets.environ) as running:
        yield running


@pytest.fixture
def parts(served_parts) -> Parts:
    """Prefect's server and a worker, started once; what an earlier test killed is started again."""
    served_parts.mend()
    return served_parts


@pytest.fixture(scope="session")  # before the servers are started that a test needs
def at_length(pytestconfig) -> None:
    """Skip where few random moments are asked for: a neighbour of the test shows the like in less time."""
    if pytestconfig.getoption("moments") < _LONG_RUN_MOMENTS:
        pytest.skip(f"only a long run does this one: --moments {_LONG_RUN_MOMENTS} or more")
