"""One round of deployments, each end once by the command line here and once by `--remote`, with secrets planted.

Server and worker ask for a password; between them and everybody else stands a proxy that answers 503 now and then.
Each end has an environment of its own for each way, all on the same migrations, so that all may run at the same time.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support import leaks
from tests.support.busy_api import BusyApi, busy_api
from tests.support.case import database, url
from tests.support.served import Served, serving, until
from wedsync_db.cli.changing import recover
from wedsync_db.home import Home
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.postgres.cluster import Cluster
from wedsync_db.postgres.session import Address, session

WAYS = ("direct", "remote")
CODES = {"done": 0, "failed": 1, "usage": 2, "refused": 3, "person": 4, "unknown": 5}
ONLY_REMOTE = ("unproven", "crashed", "clicked")
NUMBERED = 12  # migrations, each with lines of its own
KEY = "commit-1"
_ON_TARGET = "pg_postmaster_start_time() < timestamptz 'BEGUN'"  # and not on the copies, which are started later
_AT_ONCE = 4
_SECONDS = 600.0
_SMALL = ("create table public.small (id bigint primary key);", "drop table public.small;")
# the error's DETAIL quotes the row
_INSERT = "insert into public.people select id + 100, email, age from public.people;"
_TWICE = (f"do $$ begin if {_ON_TARGET} then {_INSERT} end if; end $$;", "select 1;")
_SLOW = (f"do $$ begin if {_ON_TARGET} then perform pg_sleep(100); end if; end $$;", "select 1;")
_MIGRATIONS: dict[str, dict[str, tuple[str, str | None]]] = {
    "done": {
        f"{n:04}_made_{n}": (f"create table public.made_{n} (id bigint primary key);", f"drop table public.made_{n};")
        for n in range(1, NUMBERED + 1)
    },
    "failed": {"0001_small": _SMALL, "0002_twice": _TWICE},
    "usage": {"0001_small": _SMALL},
    "refused": {"0001_small": _SMALL},
    "person": {"0001_stays": (_SMALL[0], None), "0002_twice": _TWICE},
    "unknown": {"0001_small": _SMALL, "0002_slow": _SLOW},
    "unproven": {"0001_small": _SMALL, "0002_negative": ("update public.people set age = -age;", "select 1;")},
    "crashed": {"0001_small": _SMALL, "0002_slow": _SLOW},
    "clicked": {"0001_small": _SMALL},
}
_SETTINGS = {
    "refused": 'promoted_from = "{way}_done"',  # where these migrations never were
    "person": 'require_exact_revert = false\natomic = "migration"',
    "crashed": 'atomic = "migration"',
}


@dataclass
class Ran:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass
class Round:
    """What was seen. `ran` by `way kind`, `started` runs by environment, `rows` what the targets say at the end."""

    ran: dict[str, Ran] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)  # what the flow of `remote done` logged, by the server
    clicked: list[str] = field(default_factory=list)
    turned_down: dict[str, int] = field(default_factory=dict)  # status by form
    started_by_that: int = 0
    rows: dict[str, list[list]] = field(default_factory=dict)
    up: str = ""
    hooked: str = ""  # the lines of the run whose process was killed
    busy: int = 0
    lost: int = 0
    leaks: list[str] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)  # where a word that is no secret was found

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Round:
        found = json.loads(text)
        return cls(**{**found, "ran": {name: Ran(**ran) for name, ran in found["ran"].items()}})


@dataclass
class World:
    """Twelve targets and some more; `login` is the API's user and password."""

    folder: Path
    home: Home
    cluster: Cluster
    login: str
    password: str
    row: str
    targets: dict[str, Address] = field(default_factory=dict)

    @property
    def environments(self) -> list[str]:
        return [f"{way}_{kind}" for way in WAYS for kind in CODES] + [f"remote_{kind}" for kind in ONLY_REMOTE]

    @property
    def words(self) -> dict[str, str]:
        """What must be nowhere, by name."""
        token = base64.b64encode(self.login.encode()).decode()
        return {
            "the target's password": self.password, "a row's value": self.row,
            "the API's password": self.login.partition(":")[2], "the API's password in base64": token,
        }  # fmt: skip

    @property
    def environ(self) -> dict[str, str]:
        addressed = {_variable(name): url(address) for name, address in self.targets.items() if "usage" not in name}
        return {
            "WEDSYNC_ENVIRONMENTS": str(self.folder / "environments.toml"),
            "WEDSYNC_HOME": str(self.home.path),
            **addressed,
        }

    def write(self) -> None:
        """Settings and migrations."""
        text, begun = "", datetime.now(UTC).isoformat()
        for name in self.environments:
            way, kind = name.split("_")
            more = _SETTINGS.get(kind, "").format(way=way)
            text += (
                f'[environments.{name}]\nurl_env = "{_variable(name)}"\nmigrations = "{kind}"\nallow_data_copy = true\n'
                f'{more}\n[environments.{name}.guard]\nfreeze = "off"\nfree_disk_factor = 0.1\n'
            )
        (self.folder / "environments.toml").write_text(text)
        for kind, migrations in _MIGRATIONS.items():
            for name, (deploy, revert) in migrations.items():
                path = self.folder / kind / name
                path.mkdir(parents=True)
                (path / "deploy.sql").write_text(deploy.replace("BEGUN", begun) + "\n")
                if revert:
                    (path / "revert.sql").write_text(revert + "\n")

    def rows(self, name: str, statement: str) -> list[tuple]:
        with session(self.targets[name], "test") as connection:
            return connection.execute(statement).fetchall()


def _variable(environment: str) -> str:
    return f"WEDSYNC_{environment.upper()}_URL"


@contextmanager
def _world(folder: Path, cluster: Cluster) -> Iterator[World]:
    home = Path(tempfile.mkdtemp(prefix="wedsync-home-"))
    home.chmod(0o711)
    token = secrets.token_hex
    world = World(
        folder, Home(home / "home").ensure(), cluster, f"ops:api-{token(8)}", f"pw-{token(8)}", f"ada-{token(8)}@x.org"
    )
    with ExitStack() as stack:
        for name in world.environments:
            wanted = database(
                cluster, f"both_{os.getpid()}_{name}", role=f"both_{os.getpid()}", password=world.password
            )
            address = world.targets[name] = stack.enter_context(wanted)
            with session(address, "plant") as connection:
                connection.execute(
                    "create table public.people (id bigint primary key, email text not null unique, "
                    "age int not null check (age > 0))"
                )
                connection.execute("insert into public.people values (1, %s, 42)", (world.row,))
        world.write()
        yield world
    shutil.rmtree(home)


@dataclass
class Runner:
    """Starts the command line, and asks the server, as the world's people do."""

    world: World
    served: Served
    proxy: BusyApi

    def deploy(self, name: str, *arguments: str, login: bool = True) -> Ran:
        environ = {n: v for n, v in os.environ.items() if not n.startswith("PREFECT_") or "ANALYTICS" in n}
        environ |= self.world.environ | {"PREFECT_HOME": str(self.world.home.prefect)}
        environ |= {"PREFECT_API_URL": self.proxy.url}
        if login:
            environ["PREFECT_API_AUTH_STRING"] = self.world.login
        done = subprocess.run(
            [sys.executable, "-m", "flows", "deploy", name, *arguments],
            cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False, timeout=_SECONDS,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def click(self, **parameters: object) -> str:
        """What `Run` in the UI does."""
        wanted = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return self.served.ask(f"/deployments/{self.deployment}/create_flow_run", wanted)["id"]

    @property
    def deployment(self) -> str:
        return self.served.ask("/deployments/name/deploy/deploy")["id"]

    def runs(self) -> list[dict]:
        return self.served.ask("/flow_runs/filter", {"flows": {"name": {"any_": ["deploy"]}}, "limit": 200})

    def log(self, run: str) -> list[str]:
        lines: list[str] = []
        while True:
            wanted = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
            page = self.served.ask("/logs/filter", wanted | {"offset": len(lines)})
            lines += [line["message"] for line in page]
            if len(page) < 200:
                return lines


def take_a_round(folder: Path, cluster: Cluster) -> Round:
    """Deploy everything both ways; see `Round`."""
    with ExitStack() as stack:
        world = stack.enter_context(_world(folder, cluster))
        arguments = stack.enter_context(leaks.watched_arguments())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in (world.environ | {"PREFECT_SERVER_API_AUTH_STRING": world.login}).items():
            patch.setenv(name, value)
        seen = Round()
        with serving(folder) as served, busy_api(int(served.api.split(":")[2].split("/")[0])) as proxy:
            runner = Runner(world, served, proxy)
            _work_through_the_proxy(runner)
            _deploy_everything(runner, seen)
            _click(runner, seen)
            _ask_for_what_is_refused(runner, seen)
            _note(runner, seen)
            seen.leaks = sorted(leaks.in_files(world.home.prefect, world.words))  # while the journal is there, too
        seen.up = served.said.read_text()
        _search(world, seen, arguments)
        return seen


def _work_through_the_proxy(runner: Runner) -> None:
    """Let the worker's runs reach the server as everybody does."""
    variables = {"stream_output": False, "env": {"PREFECT_API_URL": runner.proxy.url}}
    runner.served.ask(f"/deployments/{runner.deployment}", {"job_variables": variables}, "PATCH")


def _deploy_everything(runner: Runner, seen: Round) -> None:
    jobs: dict[str, Callable[[], Ran]] = {}
    for kind in ("unknown", "done", "person", "failed", "refused", "usage"):
        jobs[f"remote {kind}"] = _job(runner, f"remote_{kind}", "--remote", "--json")
        jobs[f"direct {kind}"] = _job(runner, f"direct_{kind}", "--json")
    keyed = ("remote_done", "--remote", "--json", "--key", KEY)
    jobs |= {"remote done": _job(runner, *keyed), "the same key at once": _job(runner, *keyed)}
    jobs |= {f"remote {kind}": _job(runner, f"remote_{kind}", "--remote") for kind in ("unproven", "crashed")}
    with ThreadPoolExecutor(_AT_ONCE) as work, ThreadPoolExecutor() as around:
        trouble = [around.submit(_take_over, runner.world, f"{way}_unknown") for way in WAYS]
        trouble.append(around.submit(_kill, runner.world, "remote_crashed"))
        ran = {name: work.submit(job) for name, job in jobs.items()}
        seen.ran |= {name: done.result() for name, done in ran.items()}
        for one in trouble:
            one.result()
    seen.ran["the same key later"] = runner.deploy(*keyed)


def _job(runner: Runner, *arguments: str, **more) -> Callable[[], Ran]:
    return lambda: runner.deploy(*arguments, **more)


_SLEEPS = "select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"


def _take_over(world: World, name: str) -> None:
    """Somebody ends the session that holds the target, and recovers: the runner cannot know how its work ends."""
    until(lambda: world.rows(name, _SLEEPS), _SECONDS)
    world.rows(
        name,
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and application_name in ('wedsync-db/deploy', 'wedsync-db/deployment')",
    )
    recover(argparse.Namespace(environment=name), Installation(CHECKOUT, {**os.environ, **world.environ}))


def _kill(world: World, name: str) -> None:
    """SIGKILL for the run's own process."""
    until(lambda: world.rows(name, _SLEEPS), _SECONDS)
    ((who,),) = world.rows(name, "select runner from wedsync_db.deployment where status = 'running'")
    os.kill(int(re.search(r"pid (\d+)", who)[1]), signal.SIGKILL)


def _click(runner: Runner, seen: Round) -> None:
    """Twice on the same deployment."""
    runs = [runner.click(environment="remote_clicked") for _ in range(2)]
    final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    until(lambda: all(runner.served.ask(f"/flow_runs/{run}")["state"]["type"] in final for run in runs))
    seen.clicked = sorted(runner.served.ask(f"/flow_runs/{run}")["state"]["name"] for run in runs)


def _ask_for_what_is_refused(runner: Runner, seen: Round) -> None:
    """Forms that do not fit, and callers who are not let in."""
    before = len(runner.runs())
    forms = {
        "an unknown environment": {"environment": "nowhere"},
        "no environment": {},
        "a value out of range": {"environment": "remote_done", "yes": "perhaps"},
        "an override without a reason": {"environment": "remote_done", "overrides": ["freeze"]},
        "an override with an empty reason": {"environment": "remote_done", "overrides": ["freeze= "]},
    }
    for what, parameters in forms.items():
        try:
            runner.click(**parameters)
            seen.turned_down[what] = 200
        except urllib.error.HTTPError as error:
            seen.turned_down[what] = error.code
    strangers = {
        "direct without a password": ("direct_failed",),
        "remote without a password": ("remote_failed", "--remote"),
    }
    with ThreadPoolExecutor(2) as work:
        ran = {what: work.submit(_job(runner, *arguments, login=False)) for what, arguments in strangers.items()}
        seen.ran |= {what: done.result() for what, done in ran.items()}
    seen.started_by_that = len(runner.runs()) - before


def _note(runner: Runner, seen: Round) -> None:
    for run in runner.runs():
        name = run["parameters"]["environment"]
        seen.started[name] = seen.started.get(name, 0) + 1
        if name == "remote_done":
            seen.lines = runner.log(run["id"])
        if name == "remote_crashed":
            until(lambda run=run: any("case" in line or "undone" in line for line in runner.log(run["id"])), 60)
            seen.hooked = "\n".join(runner.log(run["id"]))
    for name in runner.world.environments:
        ledger = "select id from wedsync_db.ledger order by position"
        there = runner.world.rows(name, "select to_regclass('wedsync_db.ledger') is not null")[0][0]
        seen.rows[name] = [list(row) for row in runner.world.rows(name, ledger)] if there else []
    seen.busy, seen.lost = runner.proxy.busy, runner.proxy.lost


def _search(world: World, seen: Round, arguments: set[str]) -> None:
    """Look through all that is left, and find a word that may be there, so that looking is known to work."""
    texts = {f"what `{name}` said": ran.out + ran.err for name, ran in seen.ran.items()}
    texts |= {"what `up` said": seen.up, "a command line": "\n".join(arguments)}
    words = world.words | {"CONTROL": "remote_failed", "CONTROL 2": "http://127.0.0.1", "CONTROL 3": "Worker 'local'"}
    found = leaks.in_texts(texts, words)
    for folder in (world.home.prefect, world.home.reports):
        found |= {f"{leak} ({folder.name})" for leak in leaks.in_files(folder, words)}
    for file in world.home.prefect.rglob("prefect.db"):
        found |= leaks.in_database(file, words)
    backups = world.home.path / "backups"
    found |= {leak for leak in leaks.in_files(backups, words) if "/data/" not in leak}
    seen.leaks = sorted({*seen.leaks, *(leak for leak in found if "CONTROL" not in leak)})
    seen.searched = sorted(leak for leak in found if "CONTROL" in leak)
