"""The dump with its manifest against the plain dump with the same codec; budget: 1.7."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from wedsync_db.backup.dump import create_backup
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.programs import client_programs
from wedsync_db.postgres.session import Address, session

ROUNDS = 5
_ROWS = 400_000
_FILL = """
create table public.guests (
    id uuid primary key default gen_random_uuid(), wedding_id uuid not null, name text not null, email text,
    notes text, answers jsonb, created_at timestamptz not null default now());
create table public.events (id bigint primary key, guest bigint, kind text, payload text);
"""


def measure() -> str:
    with scratch(18) as cluster:
        address = cluster.address()
        _fill(address)
        with session(address, "bench") as connection:
            size = connection.execute("select pg_database_size(current_database())").fetchone()[0]
        pairs = [(plain_dump(address, "gzip:1")[0], _ours(address)) for _ in range(ROUNDS + 1)][1:]
    ratios = [ours / plain for plain, ours in pairs]
    return "\n".join(
        [
            f"## Dump with manifest against the plain dump ({size / 2**20:.0f} MiB, {ROUNDS} pairs after a warm-up)",
            "",
            "| | median s | min s | max s |",
            "|---|---|---|---|",
            _row("pg_dump -Fd -j2, gzip:1", [p for p, _ in pairs]),
            _row("backup with manifest", [o for _, o in pairs]),
            f"| ratio (budget 1.7) | {statistics.median(ratios):.2f} | {min(ratios):.2f} | {max(ratios):.2f} |",
        ]
    )


def _row(name: str, seconds: list[float]) -> str:
    return f"| {name} | {statistics.median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} |"


def _fill(address: Address) -> None:
    with session(address, "bench", statement_timeout_ms=0) as connection:
        connection.execute(_FILL)
        connection.execute(
            "insert into public.guests (wedding_id, name, email, notes, answers)"
            " select gen_random_uuid(), 'Guest ' || n,"
            " 'g' || n || '@example.org', repeat(md5(n::text), 4), jsonb_build_object('note', md5(n::text))"
            " from generate_series(1, %s) n",
            [_ROWS],
        )
        connection.execute(
            "insert into public.events select n, n %% 1000, 'kind ' || n %% 7, repeat(md5(n::text), 3)"
            " from generate_series(1, %s) n",
            [_ROWS],
        )
        connection.execute("vacuum analyze")


def plain_dump(address: Address, compress: str) -> tuple[float, int]:
    """Seconds and bytes of a plain pg_dump in the directory format."""
    environ = {
        "PATH": os.environ["PATH"],
        "PGHOST": address.host,
        "PGPORT": str(address.port),
        "PGUSER": address.user,
        "PGDATABASE": address.dbname,
    }
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "dump"
        command = [client_programs(18, need_ssl=False).pg_dump, "-Fd", "-j2", f"--compress={compress}", "-f", folder]
        begin = time.perf_counter()
        subprocess.run(command, check=True, env=environ)
        return time.perf_counter() - begin, sum(path.stat().st_size for path in folder.iterdir())


def _ours(address: Address) -> float:
    folder = Path(tempfile.mkdtemp())
    begin = time.perf_counter()
    create_backup(
        address,
        folder / "backups",
        environment="bench",
        clock=lambda: datetime.now(UTC),
        jobs=2,
        say=lambda _text: None,
        progress=lambda _fraction: None,
    )
    seconds = time.perf_counter() - begin
    shutil.rmtree(folder)
    return seconds
