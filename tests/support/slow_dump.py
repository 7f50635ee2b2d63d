"""A pg_dump that takes its time, so that a test can look while it runs, however fast the machine."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from wedsync_db.postgres.programs import Programs, client_programs

_SECONDS = 1


def slow_programs(folder: Path, major: int) -> Programs:
    """The client programs for this major; its pg_dump waits a second before it becomes the real one."""
    real = client_programs(major, need_ssl=False)
    script = folder / "slow" / "pg_dump"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nsleep {_SECONDS}\nexec {shlex.quote(str(real.pg_dump))} "$@"\n')
    script.chmod(0o755)
    return replace(real, pg_dump=script)
