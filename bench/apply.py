"""Applying 1, 100 and 1000 migrations against one psql session, and having nothing to do against connecting at all.

Everything a runner does is in its figure: Python's start, reading and checking the files, plan, lock, journal, apply.
The floor is one psql session with BEGIN and COMMIT per file. Budgets: at 1000 wall 1.0 x and client CPU 3.5 x the
floor; nothing to do 2 x of the same Python connecting.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wedsync_db.postgres.cluster import Cluster, scratch
from wedsync_db.postgres.session import session

ROUNDS = 3
SIZES = (1, 100, 1000)
_ROOT = Path(__file__).resolve().parents[1]
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_CONNECT = """
import sys, psycopg
psycopg.connect(sys.argv[1], autocommit=True).execute("select 1")
"""
_RUN = """
import sys
from pathlib import Path
from wedsync_db.migrate import ledger
from wedsync_db.migrate.plan import plan_of, require_sound
from wedsync_db.postgres.session import Address, session

address = Address(sys.argv[1], 5432, sys.argv[2], "wedsync")
with session(address, "plan") as connection:
    applied = ledger.entries(connection)
plan = plan_of(Path(sys.argv[3]), applied)
require_sound(plan)
if plan.pending:
    from wedsync_db.migrate import journal
    from wedsync_db.migrate.apply import apply
    from wedsync_db.model import DeploymentStatus
    from wedsync_db.postgres.locks import target_lock
    from wedsync_db.settings import LockSettings
    with target_lock(address, "deploy", wait_seconds=0, say=print) as lock, session(address, "journal") as connection:
        ledger.install(connection)
        deployment = journal.begin(connection, plan=plan, atomic="deployment", fingerprint_before="",
                                   backup_id=None, runner="bench", rehearsal=None)
        apply(address, plan, deployment, proofs=(), atomic="deployment", locks=LockSettings(), lock_pid=lock.pid,
              between=lambda: None, say=print)
        journal.finish(connection, deployment, DeploymentStatus.DONE, "", None)
"""


@dataclass(frozen=True)
class Cost:
    """What a program took, seconds."""

    wall: float
    cpu: float


def measure() -> str:
    with tempfile.TemporaryDirectory(prefix="wedsync-bench-") as folder, scratch(18, settings=_DURABLE) as cluster:
        files = {size: _write(Path(folder) / str(size), size) for size in SIZES}
        rows = [
            _row(f"apply {size}", *_rounds(cluster, lambda db, s=size: _both(cluster, db, files[s]))) for size in SIZES
        ]
        idle = _rounds(cluster, lambda db: _nothing_to_do(cluster, db, files[SIZES[-1]]))
    return "\n".join(
        [
            f"## Applying migrations (median of {ROUNDS} pairs, PostgreSQL 18, fsync on)",
            "",
            "| | floor wall s | ours wall s | wall × | floor CPU s | ours CPU s | CPU × |",
            "|---|---|---|---|---|---|---|",
            *rows,
            _row(f"nothing to do, {SIZES[-1]} applied", *idle),
            "",
            "Floor of apply: one psql session, BEGIN and COMMIT per file. Budget at 1000: wall 1.0, CPU 3.5, with",
            "Python's start. Nothing to do: the same Python importing psycopg, connecting, select 1; budget 2.",
        ]
    )


def _both(cluster: Cluster, database: str, folder: Path) -> tuple[Cost, Cost]:
    return _psql(cluster, f"{database}_floor", folder), _ours(cluster, database, folder)


def _nothing_to_do(cluster: Cluster, database: str, folder: Path) -> tuple[Cost, Cost]:
    _ours(cluster, database, folder)
    connect = [sys.executable, "-c", _CONNECT, cluster.address(database).conninfo()]
    return _cost(connect), _ours(cluster, database, folder)


def _rounds(cluster: Cluster, once: Callable[[str], tuple[Cost, Cost]]) -> tuple[list[Cost], list[Cost]]:
    pairs = []
    for number in range(ROUNDS + 1):
        database = f"bench_{number}"
        with session(cluster.address(), "bench", statement_timeout_ms=0) as admin:
            for name in (database, f"{database}_floor"):
                admin.execute(f"create database {name}")
            pairs.append(once(database))
            for name in (database, f"{database}_floor"):
                admin.execute(f"drop database {name} with (force)")
    floor, ours = zip(*pairs[1:], strict=True)  # the first warms up
    return list(floor), list(ours)


def _psql(cluster: Cluster, database: str, folder: Path) -> Cost:
    script = folder.with_suffix(".sql")
    files = sorted(folder.glob("*/deploy.sql"))
    script.write_text("".join(f"begin;\n{f.read_text()}\ncommit;\n" for f in files))
    program = [str(cluster.binaries / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script)]
    return _cost([*program, cluster.address(database).conninfo()])


def _ours(cluster: Cluster, database: str, folder: Path) -> Cost:
    return _cost([sys.executable, "-c", _RUN, str(cluster.socket), database, str(folder)])


def _cost(command: list[str]) -> Cost:
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=_ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command[0]
    return Cost(time.perf_counter() - begin, usage.ru_utime + usage.ru_stime)


def _write(folder: Path, size: int) -> Path:
    for n in range(1, size + 1):
        path = folder / f"{n:04}_table_{n}"
        path.mkdir(parents=True)
        (path / "deploy.sql").write_text(
            f"create table public.table_{n} (id bigint primary key, name text not null);\n"
            f"create index table_{n}_name on public.table_{n} (name);\n"
            f"comment on table public.table_{n} is 'Table number {n}';\n"
        )
        (path / "revert.sql").write_text(f"drop table public.table_{n};\n")
    return folder


def _row(name: str, floor: list[Cost], ours: list[Cost]) -> str:
    wall = [statistics.median(c.wall for c in costs) for costs in (floor, ours)]
    cpu = [statistics.median(c.cpu for c in costs) for costs in (floor, ours)]
    return (
        f"| {name} | {wall[0]:.3f} | {wall[1]:.3f} | {wall[1] / wall[0]:.2f} "
        f"| {cpu[0]:.3f} | {cpu[1]:.3f} | {cpu[1] / cpu[0]:.2f} |"
    )
