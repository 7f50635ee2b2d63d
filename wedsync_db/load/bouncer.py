"""A pgbouncer of our own, for as long as a load test runs: more clients than the server has connections.

It is reached by a socket in a folder that only it and we can enter. A leash ends it when we die, however we die; one
whose leash was killed, too, is ended by whoever wants the next.
"""

from __future__ import annotations

import os
import re
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psycopg

from wedsync_db.backup.client import leashed
from wedsync_db.errors import Refused, Unreachable, WedsyncError
from wedsync_db.filelock import lock_file, try_alone
from wedsync_db.load.bouncer_files import PORT, Told, told
from wedsync_db.load.scenario import Scenario
from wedsync_db.postgres.account import can_enter, server_account
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address
from wedsync_db.redact import redact, register_secret

_PREFIX = "wedsync-bouncer-"
_INI = "pgbouncer.ini"
_LONGEST_SOCKET = 107  # bytes: sun_path of Linux less its final zero
_START_SECONDS = 10.0
_MOST_SAID = 1 << 20  # bytes
_ROOMY = 'ulimit -S -n "$0" && exec "$@"'  # for its children a shell may raise what Python has no argument for
# its complaints, without the connection that each is about
_SAID = re.compile(r"(?:FATAL|ERROR|WARNING):?\s+(?:[CS]-0x\S+ \S+ )?(?:pooler error: )?(.*)")


@contextmanager
def bouncer(address: Address, scenario: Scenario) -> Iterator[Address]:
    """A pgbouncer in front of this database, in transaction mode with the scenario's pool; where its clients go.

    Raises:
        Refused: there is no pgbouncer here, or it cannot be told what the address says.
        Unreachable: it does not get to the server.
        WedsyncError: it does not start.
    """
    program, parent = find_pgbouncer(), _parent()
    sweep_bouncers(parent)
    secret = secrets.token_urlsafe(24)
    register_secret(secret)
    with _folder(parent) as folder, tempfile.TemporaryFile() as log:
        timeout = scenario.statement_timeout_ms
        given = told(address, folder, secret, pool=scenario.pool, clients=scenario.held, statement_timeout_ms=timeout)
        _write(folder, given)
        with leashed(folder, _command(program, folder), errors=log, environment={"LC_ALL": "C"}) as process:
            _await(process, folder, log)
            _check(given.address, timeout, log)
            yield given.address


def find_pgbouncer() -> Path:
    """The pgbouncer of this machine.

    Raises:
        Refused: there is none.
    """
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if not found:
        raise Refused(
            "there is no pgbouncer here, and this load test goes through one",
            hint='apt install pgbouncer, or connections = "direct" and no more clients than the pool has.',
        )
    return Path(found)


def sweep_bouncers(parent: Path) -> tuple[Path, ...]:
    """End the pgbouncers whose load tests were killed; their folders, removed. Those in use are left alone."""
    named = {Path(words[-1]).parent for _, words in _processes() if words[-1].endswith(f"/{_INI}")}
    left = {folder for folder in named if folder.name.startswith(_PREFIX)}
    found = sorted({*parent.glob(f"{_PREFIX}*"), *left})
    return tuple(folder for folder in found if _sweep(folder))


def _sweep(folder: Path) -> bool:
    """Whether it was nobody's any more, and is gone."""
    if not folder.exists():
        _end(folder)
        return True
    with suppress(OSError):  # it is somebody else's, or goes away at this moment
        if folder.is_symlink() or folder.stat().st_uid not in _our_uids():
            return False
        with lock_file(folder / "lock") as descriptor:
            if try_alone(descriptor):
                _end(folder)
                shutil.rmtree(folder, ignore_errors=True)
                return True
    return False


def _end(folder: Path) -> None:
    """End what runs by this folder's file: it is told by its arguments, and its number cannot be another's by then."""
    for pid, words in _processes():
        if words[-1] == str(folder / _INI):
            with suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                try:
                    if _words(pid) == words:
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                finally:
                    os.close(handle)


def _processes() -> list[tuple[int, list[str]]]:
    """Our own and the servers' account's processes and their arguments. Empty where there is no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if entry.stat().st_uid in _our_uids() and (words := _words(int(entry.name))):
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


def _parent() -> Path:
    """Where its folder goes: the account it runs as must get there, and a socket's path has an end."""
    account = server_account()
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 -- the folder in it is private
        longest = parent / f"{_PREFIX}12345678" / f".s.PGSQL.{PORT}"
        if len(os.fsencode(longest)) <= _LONGEST_SOCKET and "," not in str(parent) and can_enter(parent, account):
            return parent
    raise Refused("there is no folder for the socket of a pgbouncer", hint="Set TMPDIR to one with a short path.")


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    """A private folder that is gone after the block; whoever finds it unlocked may remove it."""
    # locked before it gets the name that is looked for
    fresh = Path(tempfile.mkdtemp(prefix=".bouncer-", dir=parent))
    with lock_file(fresh / "lock") as descriptor:
        try_alone(descriptor)
        folder = fresh.rename(parent / f"{_PREFIX}{fresh.name.removeprefix('.bouncer-')}")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, given: Told) -> None:
    """Its files, for its account and us alone; the folder becomes the account's when nothing is written any more."""
    account = server_account()
    for name, text in given.files.items():
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            if account:
                os.fchown(file.fileno(), account.pw_uid, account.pw_gid)
            file.write(text)
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)


def _command(program: Path, folder: Path) -> list[str | Path]:
    """It refuses to run as root, and becomes the account itself."""
    account = server_account()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    handles = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    as_account = ["-u", account.pw_name] if account else []
    return ["/bin/sh", "-c", _ROOMY, handles, program, *as_account, folder / _INI]


def _await(process: subprocess.Popen[bytes], folder: Path, log: IO[bytes]) -> None:
    """Wait until it takes clients.

    Raises:
        WedsyncError: it ended, or does not.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(folder / f".s.PGSQL.{PORT}")) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise WedsyncError(f"pgbouncer did not start: {_last_said(log) or 'it says nothing'}")
        time.sleep(0.01)


def _check(address: Address, statement_timeout_ms: int, log: IO[bytes]) -> None:
    """Make sure that it gets to the server, and that its sessions there have the timeout.

    Raises:
        Unreachable: it does not, or they have not.
    """
    try:
        with psycopg.connect(address.conninfo(), autocommit=True, prepare_threshold=None) as connection:
            row = connection.execute(query("load", "timeout"), {}).fetchone()
    except psycopg.Error as error:
        said = _last_said(log) or str(error)
        raise Unreachable(
            f"pgbouncer gets no connection to the server: {redact(said)}",
            hint="It logs in with the address's own password: one in a PGPASSFILE, or peer, is not known to it.",
        ) from None
    if row is None or row[0] != str(statement_timeout_ms):
        raise Unreachable("sessions through pgbouncer do not get the scenario's statement timeout")


def _last_said(log: IO[bytes]) -> str:
    lines = os.pread(log.fileno(), _MOST_SAID, 0).decode(errors="replace").splitlines()  # it goes on writing there
    found = [match[1] for line in lines if (match := _SAID.search(line))]
    return redact(found[-1]) if found else ""
