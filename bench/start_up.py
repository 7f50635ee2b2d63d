"""What `status` costs beside a Python that imports psycopg, connects and selects 1; its peak memory (budget 60 MB)."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.case import database, environ_of, url, write_settings
from wedsync_db.installation import CHECKOUT
from wedsync_db.postgres.cluster import scratch

ROUNDS = 7
_FLOOR = "import sys, psycopg; psycopg.connect(sys.argv[1]).execute('select 1')"


def measure() -> str:
    folder = Path(tempfile.mkdtemp(prefix="wedsync-bench-"))
    (folder / "migrations").mkdir()
    write_settings(folder)
    with scratch(18) as cluster, database(cluster, "start_up") as address:
        environ = {**os.environ, **environ_of(folder, folder / "home", address)}
        floor = [sys.executable, "-c", _FLOOR, url(address)]
        commands = {v: [sys.executable, "-m", "flows", v, "case"] for v in ("status", "plan")}
        commands["lint"] = [sys.executable, "-m", "flows", "lint", "migrations"]
        runs = {name: [] for name in ("floor", *commands)}
        for _ in range(ROUNDS):
            for name, command in {"floor": floor, **commands}.items():
                runs[name].append(_run(command, environ))
    base = statistics.median(wall for wall, _ in runs["floor"])
    rows = []
    for name, done in runs.items():
        wall = statistics.median(wall for wall, _ in done)
        rows.append(f"| {name} | {wall:.2f} | {wall / base:.2f} | {max(peak for _, peak in done):.0f} |")
    return "\n".join(
        [
            f"## Verbs that only look ({ROUNDS} runs in turn)",
            "",
            "Floor: the same Python importing psycopg, connecting, `select 1`. Budget for memory: 60 MB.",
            "",
            "| | median wall s | against the floor | peak MB |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _run(command: list[str], environ: dict[str, str]) -> tuple[float, float]:
    begin = time.perf_counter()
    process = subprocess.Popen(command, env=environ, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 1), command
    return time.perf_counter() - begin, usage.ru_maxrss / 1024
