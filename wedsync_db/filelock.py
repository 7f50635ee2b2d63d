"""Locks between processes of one machine, by flock: the kernel lets go when their holder dies, however it dies.

So a folder can be told to be somebody's, or left by somebody who is dead.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "lock"


@contextmanager
def lock_file(path: Path) -> Iterator[int]:
    """Open (create, 0600) a file to lock; every opening is a holder of its own, in the same process too.

    Programs started meanwhile do not inherit it (as Python opens files), or a server would hold its own lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock alone, after waiting for it."""
    with lock_file(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def share(descriptor: int) -> None:
    """Become one of the lock's sharers, after waiting for one who has it alone."""
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def try_alone(descriptor: int) -> bool:
    """Take the lock alone if nobody else has or shares it. A share that was held before is lost when this fails."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def claimed_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A private folder, its file `lock` held, that is gone after the block.

    Whoever finds one of this prefix whose lock nobody has may remove it: its user was killed.
    """
    # locked before it gets the name that is looked for
    fresh = Path(tempfile.mkdtemp(prefix=".claim-", dir=parent))
    with lock_file(fresh / LOCK) as descriptor:
        try_alone(descriptor)
        folder = fresh.rename(parent / f"{prefix}{fresh.name.removeprefix('.claim-')}")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
