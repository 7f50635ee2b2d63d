"""Backup, encrypted backup and drill against the plain dump with the same codec; progress against the truth; codecs.

Sizes in GiB from BENCH_GIB, `BENCH_GIB="0.1 2" python -m bench drill`; 0.1 by default.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.dump import plain_dump
from wedsync_db.backup.drill import drill
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.keys import Key
from wedsync_db.model import Backup
from wedsync_db.postgres.cluster import scratch
from wedsync_db.postgres.programs import client_programs
from wedsync_db.postgres.session import Address, session

_KEY = Key("bench", b"k" * 32)
_BYTES_A_ROW = 365  # of the table below, with its index
_ROUNDS = {0.1: 3}  # larger ones once: they take minutes
# one wide table, as a platform's guests are; the dump of one table is serial, so more tables would only flatter it
_FILL = """
create table public.guests (
    id uuid primary key default gen_random_uuid(), wedding_id uuid not null, name text not null, email text,
    notes text, answers jsonb, created_at timestamptz not null default now());
insert into public.guests (wedding_id, name, email, notes, answers)
select gen_random_uuid(), 'Guest ' || n, 'g' || n || '@example.org', repeat(md5(n::text), 4),
       jsonb_build_object('note', md5(n::text))
from generate_series(1, %s) n;
vacuum analyze public.guests
"""


def measure() -> str:
    sizes = [float(word) for word in os.environ.get("BENCH_GIB", "0.1").split()]
    parts = ["## Backup and drill against the plain dump\n\npg_dump -Fd -j2, gzip:1, in all of them. Budget: manifest"]
    parts[0] += " 1.7, drill 3.5 (at 2 GiB).\n\n| | size | median s | against the dump |\n|---|---|---|---|"
    rows, worst, codecs = [], [], ""
    for size in sizes:
        with scratch(18, settings={"max_wal_size": "4GB"}) as cluster:
            address = cluster.address()
            _fill(address, int(size * 2**30 / _BYTES_A_ROW))
            found, error, megabytes = _rounds(address, _ROUNDS.get(size, 1))
            rows += [_row(name, megabytes, seconds, found["plain pg_dump"]) for name, seconds in found.items()]
            worst.append(f"{megabytes:.0f} MiB: {error:.0f} points")
            codecs = codecs or _codecs(address)
    return "\n".join(
        [*parts, *rows, "", f"Progress against time passed, furthest off: {', '.join(worst)}.", "", codecs]
    )


def _rounds(address: Address, rounds: int) -> tuple[dict[str, list[float]], float, float]:
    with session(address, "bench") as connection:
        megabytes = connection.execute("select pg_database_size(current_database())").fetchone()[0] / 2**20
    found: dict[str, list[float]] = {}
    error = 0.0
    for number in range(rounds + 1):  # the first warms up
        times, off = _once(address)
        if number or rounds == 1:
            error = max(error, off)
            for name, seconds in times.items():
                found.setdefault(name, []).append(seconds)
        if rounds == 1:
            break
    return found, error, megabytes


def _once(address: Address) -> tuple[dict[str, float], float]:
    times = {"plain pg_dump": plain_dump(address, "1")[0]}
    with _folder() as folder:
        times["backup with manifest"], backup, off = _backup(address, folder / "plain", None)
        times["the same, encrypted"], sealed, _ = _backup(address, folder / "sealed", _KEY)
        for name, one in (("drill", backup), ("drill of the encrypted one", sealed)):
            begin = time.perf_counter()
            done = drill(one, [_KEY], folder, clock=lambda: datetime.now(UTC))
            times[name] = time.perf_counter() - begin
            if done.outcome != "restored":
                raise RuntimeError(done.problem)
    return times, off


def _backup(address: Address, folder: Path, key: Key | None) -> tuple[float, Backup, float]:
    """Seconds, the backup, and by how many points the progress was off at its worst."""
    seen = []
    begin = time.perf_counter()
    backup = create_backup(
        address,
        folder,
        environment="bench",
        key=key,
        progress=lambda share: seen.append((time.perf_counter() - begin, share)),
    )
    seconds = time.perf_counter() - begin
    return seconds, backup, max(100 * abs(share - at / seconds) for at, share in seen)


def _codecs(address: Address) -> str:
    """What the codecs of the pg_dump that is here cost."""
    spellings = {"zstd": "zstd", "lz4": "lz4", "gzip:1": "1", "gzip, pg_dump's default": "gzip", "none": "0"}
    here = client_programs(18, need_ssl=False).codecs
    lines = ["| codec of the plain dump | s | MiB |", "|---|---|---|"]
    for name, spelling in spellings.items():
        if name.partition(":")[0].partition(",")[0] in {*here, "none"}:
            seconds, size = plain_dump(address, spelling)
            lines.append(f"| {name} | {seconds:.2f} | {size / 2**20:.0f} |")
    return "\n".join([*lines, "", f"Built into this pg_dump: {', '.join(sorted(here))}."])


def _row(name: str, megabytes: float, seconds: list[float], plain: list[float]) -> str:
    ratio = statistics.median(one / other for one, other in zip(seconds, plain, strict=True))
    return f"| {name} | {megabytes:.0f} MiB | {statistics.median(seconds):.2f} | {ratio:.2f} |"


def _fill(address: Address, rows: int) -> None:
    with session(address, "bench", statement_timeout_ms=0) as connection:
        for statement in _FILL.split(";\n"):
            connection.execute(statement % rows if "%s" in statement else statement)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
