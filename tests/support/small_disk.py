"""A disk that is soon full: a small tmpfs, where we may mount one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(megabytes: int, at: Path | None = None) -> Iterator[Path]:
    """A disk of its own, empty, over the private folder `at` or over a new one that everybody may enter.

    The test is skipped where none can be mounted.
    """
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder = at or Path(tempfile.mkdtemp(prefix="wedsync-disk-"))
    options = f"size={megabytes}m,mode={'700' if at else '755'}"
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False)
        if done.returncode:
            pytest.skip("no small disk can be mounted here")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(folder: Path, leave_bytes: int = 0) -> Path:
    """Fill the disk of a folder but for so many bytes; the file that does it."""
    ballast = folder / "ballast"
    free = shutil.disk_usage(folder).free
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - leave_bytes))
    return ballast
