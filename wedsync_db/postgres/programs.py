"""Choosing pg_dump and its companions: which are here, of which major, and what they were built with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wedsync_db.errors import Refused
from wedsync_db.postgres.binaries import embedded_binaries

_EMBEDDED_MAJORS = (16, 18)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
# each codec as pg_dump 16 and later name it; 15 knows gzip only, as a bare level
_COMPRESSIONS = {"zstd": "zstd:1", "lz4": "lz4:1", "gzip": "1"}
# nothing listens there, and no packet leaves the machine: by then pg_dump has judged its own options
_NOWHERE = "host=/nonexistent/wedsync-db dbname=x"
_PROBE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Programs:
    """The client programs of one build. `codecs` are what its pg_dump compresses with, of zstd, lz4 and gzip."""

    pg_dump: Path
    pg_restore: Path
    pg_dumpall: Path
    major: int
    ssl: bool
    codecs: frozenset[str]


def client_programs(server_major: int, *, need_ssl: bool) -> Programs:
    """The programs to dump and restore a server of this major with.

    Raises:
        Refused: nothing here fits; the hint names the package.
    """
    return choose(installed(), server_major, need_ssl=need_ssl)


def choose(candidates: Iterable[Programs], server_major: int, *, need_ssl: bool) -> Programs:
    """The server's own major, else the nearest newer: an older pg_dump refuses a newer server.

    The same major matters: a newer pg_dump writes settings, transaction_timeout for one, that an older scratch server
    does not know. Among equals the one with more codecs, then the first.

    Raises:
        Refused: nothing fits; the hint names the package.
    """
    fitting = [c for c in candidates if c.major >= server_major and (c.ssl or not need_ssl)]
    if not fitting:
        kind = " with TLS" if need_ssl else ""
        raise Refused(
            f"no pg_dump{kind} for PostgreSQL {server_major} is installed here",
            hint=f"apt-get install postgresql-client-{server_major}, from apt.postgresql.org if Debian lacks it",
        )
    return min(fitting, key=lambda c: (c.major, -len(c.codecs)))


def installed() -> tuple[Programs, ...]:
    """Every complete build on this machine: packages, PATH, and the embedded ones last."""
    found = (_examined(folder) for folder in _folders())
    return tuple(programs for programs in found if programs)


def _folders() -> Iterator[Path]:
    """Where builds may be, each once. Debian's pg_dump on PATH is a script that chooses among the packages: skipped."""
    packages = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    on_path = shutil.which("pg_dump")
    path = [Path(on_path).resolve().parent] if on_path and Path(on_path).resolve().name == "pg_dump" else []
    ours = [folder for folder in map(embedded_binaries, _EMBEDDED_MAJORS) if folder]
    yield from dict.fromkeys([*sorted(packages), *path, *ours])


def _examined(folder: Path) -> Programs | None:
    """What the build in `folder` can do; None if one of the three programs is missing or does not run."""
    programs = [folder / name for name in ("pg_dump", "pg_restore", "pg_dumpall")]
    if not all(os.access(program, os.X_OK) for program in programs):
        return None
    major, ssl, codecs = _abilities(programs[0], programs[0].stat().st_mtime_ns)
    return Programs(programs[0], programs[1], programs[2], major, ssl, codecs) if major else None


@cache
def _abilities(pg_dump: Path, _changed_ns: int) -> tuple[int, bool, frozenset[str]]:
    """Major (0: does not run), TLS and codecs, found by asking for each and reading what pg_dump complains of.

    --help says nothing about the build; an option it was built without is refused before it tries to connect.
    """
    version = _VERSION.search(_output(pg_dump, "--version"))
    if version is None:
        return 0, False, frozenset()
    ssl = _gets_to_connect(_output(pg_dump, "-d", f"{_NOWHERE} sslmode=require"))
    codecs = frozenset(
        codec
        for codec, spelling in _COMPRESSIONS.items()
        if _gets_to_connect(_output(pg_dump, "-Fc", f"--compress={spelling}", "-d", _NOWHERE))
    )
    return int(version[1]), ssl, codecs


def _gets_to_connect(complaint: str) -> bool:
    """Whether all that pg_dump found wrong was that nobody listens there."""
    return "connection to server" in complaint and "compression" not in complaint


def _output(program: Path, *arguments: str) -> str:
    """What a program says on both channels, in English; nothing where it cannot run."""
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_PROBE_SECONDS,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
