"""Where pgbouncers of ours live, and what to do with one whose load test is dead.

Each has a private folder in a place that its account can reach, locked as long as its load test lives.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from wedsync_db.errors import Refused
from wedsync_db.filelock import LOCK, claimed_folder, lock_file, try_alone
from wedsync_db.load.bouncer_files import INI, PORT
from wedsync_db.postgres.account import can_enter, server_account

_PREFIX = "wedsync-bouncer-"
_LONGEST_SOCKET = 107  # bytes: sun_path of Linux less its final zero


def pooler_parent() -> Path:
    """Where its folder goes: the account it runs as must get there, and a socket's path has an end."""
    account = server_account()
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 -- the folder in it is private
        longest = parent / f"{_PREFIX}12345678" / f".s.PGSQL.{PORT}"
        if len(os.fsencode(longest)) <= _LONGEST_SOCKET and "," not in str(parent) and can_enter(parent, account):
            return parent
    raise Refused("there is no folder for the socket of a pgbouncer", hint="Set TMPDIR to one with a short path.")


def pooler_folder(parent: Path) -> AbstractContextManager[Path]:
    """A private folder that is gone after the block, or by `sweep_poolers` when its user was killed."""
    return claimed_folder(parent, _PREFIX)


def sweep_poolers(parent: Path) -> tuple[Path, ...]:
    """End the pgbouncers whose load tests were killed; their folders, removed. Those in use are left alone."""
    named = {Path(words[-1]).parent for _, words in _processes() if words[-1].endswith(f"/{INI}")}
    left = {folder for folder in named if folder.name.startswith(_PREFIX)}
    found = sorted({*parent.glob(f"{_PREFIX}*"), *left})
    return tuple(folder for folder in found if _sweep(folder))


def _sweep(folder: Path) -> bool:
    """Whether it was nobody's any more, and is gone."""
    with suppress(OSError):  # it is somebody else's, or goes away at this moment
        if not folder.exists():
            _end(folder)
            return True
        if folder.is_symlink() or folder.stat().st_uid not in _our_uids():
            return False
        with lock_file(folder / LOCK) as descriptor:
            if try_alone(descriptor):
                _end(folder)
                shutil.rmtree(folder, ignore_errors=True)
                return True
    return False


def _end(folder: Path) -> None:
    """End what runs by this folder's file: it is told by its arguments, and its number cannot be another's by then."""
    for pid, words in _processes():
        if words[-1] == str(folder / INI):
            with suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                try:
                    if _words(pid) == words:
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                finally:
                    os.close(handle)


def _processes() -> list[tuple[int, list[str]]]:
    """Our own and the servers' account's processes and their arguments. Empty where there is no /proc."""
    found, ours = [], _our_uids()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if entry.stat().st_uid in ours and (words := _words(int(entry.name))):
                found.append((int(entry.name), words))
    return found


def _words(pid: int) -> list[str]:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")[:-1]
    except OSError:
        return []


def _our_uids() -> set[int]:
    account = server_account()
    return {os.geteuid(), account.pw_uid} if account else {os.geteuid()}
