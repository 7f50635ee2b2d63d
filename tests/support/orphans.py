"""What a run must not leave behind: sessions on the target, processes on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.case import Case

ORPHAN_SECONDS = 10.0
_CLIENTS = "('wedsync-db/writer', 'wedsync-db/reader', 'wedsync-db/test')"


def await_no_orphans(case: Case) -> Sequence[str]:
    """Sessions and processes of runs that outlive them by more than ten seconds."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (left := [*_sessions(case), *_processes(case.installation.home.path)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _sessions(case: Case) -> list[str]:
    return [
        f"session {name}"
        for (name,) in case.rows(
            "select application_name from pg_stat_activity where datname = current_database() "
            f"and application_name like 'wedsync-db/%' and application_name not in {_CLIENTS}"
        )
    ]


def _processes(home: Path) -> list[str]:
    """Processes that work in the state folder or were told about it: servers, client programs, their leashes."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(home) in command or str((entry / "cwd").readlink()).startswith(str(home)):
                found.append(f"process {entry.name} {command}")
    return found
