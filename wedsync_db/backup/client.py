"""Runs pg_dump and pg_restore: the password in a private file only, never a survivor on this machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from psycopg.conninfo import conninfo_to_dict

from wedsync_db.errors import BackupError
from wedsync_db.postgres.connect_errors import LOST_HINT
from wedsync_db.postgres.pg_ctl import DISK_FULL, NO_ROOM
from wedsync_db.postgres.programs import Programs, client_programs
from wedsync_db.postgres.session import SERVER_SILENCE, Address
from wedsync_db.redact import redact

_SERVICE = "wedsync-db"
CONNECTION = f"service={_SERVICE}"  # what the programs get as --dbname
_INHERITED = ("HOME", "KRB5", "LD_", "PATH", "PG", "SSL_CERT")  # what libpq in our own process looks at too
_LEASH_SECONDS = 8.0  # more than the leash gives the program
# they move whole tables, and a disk or a lock at the other end may hold them up for a while
_UNACKNOWLEDGED_MS = 60_000
_LOST = re.compile("server closed the connection|could not receive data|terminating connection|timed out")
_TLS_MODES = ("require", "verify-ca", "verify-full")
# a value in a message: `invalid input syntax for type integer: "…"`
_VALUE = re.compile(r': ".*"$')


@dataclass(frozen=True, slots=True)
class Client:
    """A program that was started: the process that holds its leash, and the file with what it complains about."""

    name: str
    process: subprocess.Popen[bytes]
    errors: IO[bytes]

    def wait(self) -> None:
        """Wait for its end.

        Raises:
            BackupError: it failed; with the line in which it says why.
        """
        if self.process.wait():
            self.errors.seek(0)
            said = complaint(self.errors.read().decode(errors="replace"))
            full = DISK_FULL if NO_ROOM in said else None
            raise BackupError(f"{self.name} failed: {said}", hint=_hint(said), sqlstate=full)


def programs_for(address: Address, major: int) -> Programs:
    """The client programs for a server of this major, with TLS where the address asks for it.

    Raises:
        Refused: there are none here; the hint names the package.
    """
    return client_programs(major, need_ssl=address.parameters.get("sslmode") in _TLS_MODES)


@contextmanager
def running(
    command: Sequence[str | Path],
    address: Address,
    application_name: str,
    *,
    settings: Mapping[str, str] | None = None,
    held: Sequence[int] = (),
) -> Iterator[Client]:
    """Start a client program on the address (its arguments name it as CONNECTION) and end it with the block.

    Args:
        command: program and arguments; nothing in them is secret.
        address: where it connects; settings and password reach it through private files.
        application_name: how its sessions are called on the server.
        settings: server settings of those sessions; values without spaces.
        held: descriptors that stay open as long as the program lives, for the locks on them.
    """
    folder = Path(tempfile.mkdtemp(prefix="wedsync-client-"))
    try:
        environment = _connection_files(folder, address, application_name, settings or {})
        with tempfile.TemporaryFile() as errors:
            with leashed(folder, command, errors=errors, environment=environment, held=held) as process:
                yield Client(Path(command[0]).name, process, errors)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def leashed(
    folder: Path,
    command: Sequence[str | Path],
    *,
    errors: IO[bytes],
    environment: Mapping[str, str],
    held: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that ends with the block, or with us; the folder, with its secrets, is removed then, too.

    Args:
        folder: private, and the program's own.
        command: program and arguments; nothing in them is secret.
        errors: where it complains.
        environment: all that it inherits.
        held: descriptors that stay open as long as the program lives, for the locks on them.
    """
    leash = [sys.executable, "-I", "-S", str(Path(__file__).with_name("leash.py")), str(folder)]
    process = subprocess.Popen(
        [*leash, *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=environment,
        pass_fds=tuple(held),
        start_new_session=True,  # a Ctrl-C in the terminal is for us; we end the program in order
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let go of the leash; by force if that does not end it."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(_LEASH_SECONDS)
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise


def _connection_files(
    folder: Path, address: Address, application_name: str, server_settings: Mapping[str, str]
) -> dict[str, str]:
    """Write service and password file; the environment that points to them."""
    # the server ends the session of a client that is gone within a second, also where nothing is being sent
    all_settings = {
        "client_connection_check_interval": "1000",
        **SERVER_SILENCE,
        "tcp_user_timeout": str(_UNACKNOWLEDGED_MS),
        **server_settings,
    }
    packed = " ".join(f"-c {name}={value}" for name, value in all_settings.items())
    options = f"{address.parameters.get('options', '')} {packed}".strip()
    patient = replace(address, parameters={"tcp_user_timeout": str(_UNACKNOWLEDGED_MS), **address.parameters})
    settings = conninfo_to_dict(patient.conninfo(application_name=application_name, options=options))
    environment = {key: value for key, value in os.environ.items() if key.startswith(_INHERITED)}
    if settings.pop("password", None) is not None:
        settings.pop("passfile", None)
        _write_private(folder / "password", f"*:*:*:*:{_escaped(address.password or '')}\n")
        environment["PGPASSFILE"] = str(folder / "password")
    _write_private(folder / "service", _service(settings))
    return {**environment, "PGSERVICEFILE": str(folder / "service"), "LC_ALL": "C"}


def _service(settings: Mapping[str, object]) -> str:
    lines = [f"{key}={value}" for key, value in settings.items() if value is not None]
    if any("\n" in line for line in lines):
        raise BackupError("a connection setting contains a line break", hint="Check the URL of this environment.")
    return "\n".join([f"[{_SERVICE}]", *lines, ""])


def _escaped(password: str) -> str:
    return password.replace("\\", "\\\\").replace(":", "\\:")


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _hint(said: str) -> str:
    if NO_ROOM in said:
        return "A disk is full: make room and try again."
    return LOST_HINT if _LOST.search(said) else ""


def complaint(said: str) -> str:
    """The one line of a program's output that says what went wrong, without secrets, values and DETAIL.

    The first error, that is: later ones are about workers that died of it.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.partition("error: ")[2] for line in lines if "error: " in line]
    return _VALUE.sub("", redact((errors or lines[-1:] or ["no output"])[0]))
