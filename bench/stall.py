"""The longest stall of a writer and a reader during a whole deployment of the table they use; budget: locks + 20 ms.

Each client is a process of its own, so that none waits for another's interpreter, and notes when every single call was
sent and how long its answer took. The deployment notes when each of its steps began; the machine's clock is one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import psycopg

from bench.flow_overhead import prefect_server
from tests.support.case import database, environ_of, write_settings
from wedsync_db.home import Home
from wedsync_db.installation import CHECKOUT
from wedsync_db.postgres.cluster import Cluster, scratch
from wedsync_db.postgres.session import Address, session

ROWS = 200_000
ALLOWED_SECONDS = 0.020  # beside the locks
MODES = {"case": "deployment", "case_each": "migration"}  # environment → its `atomic`
_PACE_SECONDS = 0.0015
_SCAN_EVERY = 50  # rounds: about ten a second
_SETTLE_SECONDS = 1.0
# every wait for a lock of a millisecond and more goes into the server's log, with who waited
_LOGGED = {"log_lock_waits": "on", "deadlock_timeout": "1ms", "log_line_prefix": "%a@%d:"}

_BASE = f"""
create table public.owners (id bigint primary key);
insert into public.owners select n from generate_series(0, 99) n;
create table public.items (
    id bigint generated always as identity primary key, owner_id bigint not null, name text not null, price int
);
insert into public.items (owner_id, name, price)
select n % 100, 'item ' || md5(n::text), n % 1000 from generate_series(1, {ROWS}) n;
"""
_PRICED, _OWNED = "constraint items_priced check (price is not null)", "constraint items_owned foreign key (owner_id)"
# what releases do to a table in use, each in the way that the lint asks for: deploy, revert
_MIGRATIONS = {
    "0002_column": (
        "alter table public.items add column note text not null default 'none';",
        "alter table public.items drop column note;",
    ),
    "0003_index": (
        "-- transaction: none\ncreate index concurrently items_owner on public.items (owner_id);",
        "drop index public.items_owner;",
    ),
    "0004_check": (
        f"alter table public.items add {_PRICED} not valid;",
        "alter table public.items drop constraint items_priced;",
    ),
    "0005_validate": (
        "alter table public.items validate constraint items_priced;",
        f"alter table public.items drop constraint items_priced, add {_PRICED} not valid;",
    ),
    "0006_not_null": (
        "alter table public.items alter column price set not null;",
        "alter table public.items alter column price drop not null;",
    ),
    "0007_key": (
        f"alter table public.items add {_OWNED} references public.owners (id) not valid;",
        "alter table public.items drop constraint items_owned;",
    ),
    "0008_validate_key": (
        "alter table public.items validate constraint items_owned;",
        f"alter table public.items drop constraint items_owned, add {_OWNED} references public.owners (id) not valid;",
    ),
}


class Call(NamedTuple):
    """One call of a client, by the machine's clock: when it was sent and when its answer was there, seconds."""

    sent: float
    answered: float


Act = Callable[[psycopg.Connection, int], None]
Calls = dict[str, list[Call]]  # by kind of call


@dataclass(frozen=True)
class Deployed:
    """What a deployment told: its steps with their beginnings; for how many seconds it rehearsed that readers wait."""

    steps: list[tuple[str, float]]
    locks: float

    def changes_at(self, call: Call) -> bool:
        """Whether the target was being changed when the call was made: between opening and closing the deployment."""
        begun = dict(self.steps)
        return begun["open_deployment"] <= call.answered and call.sent <= begun["report"]

    def step_at(self, call: Call) -> str:
        """The step that began last before the call was answered."""
        return next((name for name, began in reversed(self.steps) if began <= call.answered), "start")


def measure() -> str:
    folder = Path(tempfile.mkdtemp(prefix="wedsync-bench-"))
    folder.chmod(0o711)
    write_settings(folder)
    with scratch(18, settings=_LOGGED) as cluster, prefect_server(folder) as api:
        parts = [_measured(folder, cluster, api, environment) for environment in MODES]
    return "\n".join([_TITLE, *parts])


def _measured(folder: Path, cluster: Cluster, api: str, environment: str) -> str:
    """The table for one value of `atomic`, and a sentence about its locks."""
    with database(cluster, f"stall_{environment}") as address:
        environ = {**os.environ, **environ_of(folder, Home(folder / "home").path, address)}
        environ |= {"PREFECT_API_URL": api, "PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}
        _lay(folder, {"0001_base": (_BASE, "drop table public.items; drop table public.owners;")})
        _deploy(environment, environ)
        _lay(folder, _MIGRATIONS)
        with _clients(address) as during:
            deployed = _deploy(environment, environ)
        log = (cluster.data.parent / "server.log").read_text()
        with _clients(address) as alone:
            time.sleep(max(calls[-1].answered for calls in during.values()) - deployed.steps[0][1])
        shutil.rmtree(folder / "migrations")
    return "\n".join(
        [
            f'\n### `atomic = "{MODES[environment]}"`\n\n{_HEADER}',
            *_rows(alone, during, deployed),
            "",
            _sentence(max(_waited(log, address.dbname), default=0.0), deployed.locks),
        ]
    )


def _sentence(waited: float, rehearsed: float) -> str:
    milliseconds = (1000 * rehearsed, 1000 * waited, 1000 * (waited - rehearsed), 1000 * ALLOWED_SECONDS)
    return (
        "Rehearsed, a reader waits {:.1f} ms at the longest. By the server's log a client waited for a lock\n"
        "{:.1f} ms at the longest: {:+.1f} ms, budget +{:.0f}."
    ).format(*milliseconds)


def _lay(folder: Path, migrations: Mapping[str, tuple[str, str]]) -> None:
    for name, (deploy, revert) in migrations.items():
        path = folder / "migrations" / name
        path.mkdir(parents=True)
        (path / "deploy.sql").write_text(deploy)
        (path / "revert.sql").write_text(revert)


def _deploy(environment: str, environ: dict[str, str]) -> Deployed:
    command = [sys.executable, "-c", _TOLD, environment]
    done = subprocess.run(command, env=environ, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True)
    return Deployed(**json.loads(done.stdout.splitlines()[-1]))


# the flow as the command line runs it, with the beginning of each step noted
_TOLD = """
import functools, json, sys, time
from flows.local_runs import prepare, run
from wedsync_db.installation import this_installation
steps = [("start", time.perf_counter())]
prepare(this_installation())
import tasks.running as running
telling, rehearsals = running._telling_errors, []
def noted(function):
    inner = telling(function)
    @functools.wraps(function)
    def call(*args, **kwargs):
        steps.append((function.__name__, time.perf_counter()))
        result = inner(*args, **kwargs)
        if function.__name__ == "rehearse":
            rehearsals.append(result)
        return result
    return call
running._telling_errors = noted
from flows.deploy import deploy
run(lambda: deploy(sys.argv[1], return_state=True))
waits = [k.seconds for p in rehearsals[-1].proofs for k in p.locks if k.mode == "AccessExclusiveLock"]
print(json.dumps({"steps": steps, "locks": max(waits, default=0.0)}))
"""


@contextmanager
def _clients(address: Address) -> Iterator[Calls]:
    """A writer and a reader at work until the block ends; only then the calls are there."""
    calls: Calls = {}
    context = multiprocessing.get_context("spawn")  # a fork would share this process's sessions
    pairs = [context.Pipe() for _ in (_write, _read)]
    clients = [
        context.Process(target=work, args=(address, pair[1])) for work, pair in zip((_write, _read), pairs, strict=True)
    ]
    for client, (ours, _) in zip(clients, pairs, strict=True):
        client.start()
        ours.recv()  # it is connected
    time.sleep(_SETTLE_SECONDS)
    for ours, _ in pairs:
        ours.send("begin")
    try:
        yield calls
    finally:
        for ours, _ in pairs:
            ours.send("end")
        for client, (ours, _) in zip(clients, pairs, strict=True):
            calls |= ours.recv()
            client.join()


def _write(address: Address, parent: Connection) -> None:
    def insert(connection: psycopg.Connection, number: int) -> None:
        connection.execute("insert into public.items (owner_id, name, price) values (%s, 'new', 1)", [number % 100])

    def update(connection: psycopg.Connection, number: int) -> None:
        connection.execute("update public.items set name = 'seen' where id = %s", [1 + number * 7 % ROWS])

    _work(address, parent, {"insert": (1, insert), "update": (1, update)})


def _read(address: Address, parent: Connection) -> None:
    def point(connection: psycopg.Connection, number: int) -> None:
        connection.execute("select name from public.items where id = %s", [1 + number * 13 % ROWS])

    def scan(connection: psycopg.Connection, number: int) -> None:
        connection.execute("select count(*) from public.items where price = %s", [number % 1000])

    _work(address, parent, {"select of a row": (1, point), "scan": (_SCAN_EVERY, scan)})


def _work(address: Address, parent: Connection, kinds: Mapping[str, tuple[int, Act]]) -> None:
    """Make each kind of call in every so manieth round, until the parent says end; then tell it when each was made."""
    calls: Calls = {kind: [] for kind in kinds}
    with session(address, "client", lock_timeout_ms=0, statement_timeout_ms=0) as connection:
        parent.send("connected")
        for number in count():
            if parent.poll() and parent.recv() == "end":
                break
            for kind, (every, act) in kinds.items():
                if number % every == 0:
                    sent = time.perf_counter()
                    act(connection, number)
                    calls[kind].append(Call(sent, time.perf_counter()))
            time.sleep(_PACE_SECONDS)
    parent.send(calls)


def _rows(alone: Calls, during: Calls, deployed: Deployed) -> list[str]:
    """A line for each kind of call: what it took alone, in the deployment, and while that changed the target."""
    lines = []
    for kind, calls in during.items():
        longest = max(calls, key=_seconds)
        changing = max(map(_seconds, filter(deployed.changes_at, calls)), default=0.0)
        both = (_figures(map(_seconds, one)) for one in (alone[kind], calls))
        lines.append(f"| {kind} | {' | '.join(both)} | {deployed.step_at(longest)} | {1000 * changing:.1f} |")
    return lines


def _figures(seconds: Iterable[float]) -> str:
    took = sorted(seconds)
    parts = (took[len(took) // 2], took[len(took) * 99 // 100], took[-1])
    return " / ".join(f"{1000 * part:.1f}" for part in parts)


def _seconds(call: Call) -> float:
    return call.answered - call.sent


def _waited(log: str, database: str) -> list[float]:
    """How long clients waited for locks, by the server's own account, seconds. Shorter waits are not in its log."""
    found = re.findall(rf"wedsync-db/client@{database}:.* acquired \w+ on .* after ([\d.]+) ms", log)
    return [float(milliseconds) / 1000 for milliseconds in found]


_TITLE = f"""## The longest stall of a writer and a reader during a whole deployment

{len(_MIGRATIONS)} migrations of a table of {ROWS:,} rows which they use: a column with a default, an index built
concurrently, a check and a foreign key that are added NOT VALID and then validated, NOT NULL. Backup, restore and
rehearsal share two cores with the target: what is above the locks waits for a core.
Milliseconds: median / 99 of 100 / longest."""
_HEADER = """| call | alone | with the deployment | longest in step | longest while the target was changed |
|---|---|---|---|---|"""
