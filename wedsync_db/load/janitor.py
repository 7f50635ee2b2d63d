"""Who drops a load test's database when the load test was killed: a process that waits for just that.

It gets where the target is on standard input: no secret is an argument. Its input is also how it learns that we are
gone: when that closes without a word, it takes the target's lock and drops what we left. Where somebody else has the
lock by then, or the janitor was killed, too, the next load test does it, or the next night.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast

import psycopg

from wedsync_db.errors import WedsyncError
from wedsync_db.installation import CHECKOUT
from wedsync_db.load.leftover import sweep
from wedsync_db.load.pipe import receive, send
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import Address

_DONE = b"d"
_WAIT_SECONDS = 30.0  # for the server to notice that whoever had the lock is gone
_END_SECONDS = 10.0


@contextmanager
def janitor(target: Address) -> Iterator[None]:
    """Have the databases beside this target dropped if we are killed within this block. Call it under its lock."""
    command = [sys.executable, "-c", "from wedsync_db.load.janitor import main; main()"]
    # a signal to all of our group, such as a terminal's, is for us alone
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=CHECKOUT,
        start_new_session=True,
    ) as popen:
        into = cast("IO[bytes]", popen.stdin)
        try:
            send(into, target)
            yield
        finally:
            _dismiss(popen, into)


def _dismiss(popen: subprocess.Popen[bytes], into: IO[bytes]) -> None:
    """There is nothing to do for it."""
    with suppress(OSError):  # it is gone already
        into.write(_DONE)
        into.close()
    try:
        popen.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        popen.kill()


def main() -> None:
    """Wait to be dismissed, or else clean up."""
    into = sys.stdin.buffer
    with suppress(EOFError):
        target = receive(into)
        if into.read(1) != _DONE:
            _clean(target)


def _clean(target: Address) -> None:
    with (
        suppress(WedsyncError, psycopg.Error),  # there is nobody left to tell
        target_lock(target, "load-test", wait_seconds=_WAIT_SECONDS, say=lambda _: None),
    ):
        sweep(target)
