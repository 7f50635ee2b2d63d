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
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg

from wedsync_db.backup.client import leashed
from wedsync_db.errors import Refused, Unreachable, WedsyncError
from wedsync_db.load.bouncer_files import INI, PORT, Told, told
from wedsync_db.load.bouncer_folder import pooler_folder, pooler_parent, sweep_poolers
from wedsync_db.load.scenario import Scenario
from wedsync_db.postgres.account import server_account
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.redact import redact, register_secret

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
    program, parent = find_pgbouncer(), pooler_parent()
    sweep_poolers(parent)
    secret = secrets.token_urlsafe(24)
    register_secret(secret)
    with pooler_folder(parent) as folder, tempfile.TemporaryFile() as log:
        timeout = scenario.statement_timeout_ms
        given = told(address, folder, secret, pool=scenario.pool, clients=scenario.held, statement_timeout_ms=timeout)
        _write(folder, given)
        with leashed(folder, _command(program, folder), errors=log, environment={"LC_ALL": "C"}) as process:
            _await(process, folder, log)
            try:
                _check(given.address, timeout, log)
            except Unreachable as error:
                raise _why(error, address) from None
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
    return ["/bin/sh", "-c", _ROOMY, handles, program, *as_account, folder / INI]


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


def _why(error: Unreachable, server: Address) -> WedsyncError:
    """What keeps us from the server, too, says more than a pgbouncer that only waits."""
    try:
        with session(server, "load-test"):
            return error
    except WedsyncError as ours:
        return ours


def _last_said(log: IO[bytes]) -> str:
    lines = os.pread(log.fileno(), _MOST_SAID, 0).decode(errors="replace").splitlines()  # it goes on writing there
    found = [match[1] for line in lines if (match := _SAID.search(line))]
    return redact(found[-1]) if found else ""
