"""A pgbouncer of our own in front of a test's database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.support import case
from wedsync_db.postgres.account import server_account
from wedsync_db.postgres.session import Address

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PORT = 6432
IGNORING = "ignore_startup_parameters=options"
PASSWORD = "Tr0ub4dor-and-3"
# who may look at the console, who may do everything there, and who is nobody to it
WATCHER, ADMIN, STRANGER = "watcher", "keeper", "stranger"
needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="no pgbouncer here")


@dataclass(frozen=True)
class Pooler:
    """`address` is the test's database through the pooler, as an ordinary role."""

    address: Address
    process: subprocess.Popen[bytes]

    def console(self, user: str = WATCHER) -> Address:
        """Where it says how it is."""
        return replace(self.address, dbname="pgbouncer", user=user)


Start = Callable[..., AbstractContextManager[Pooler]]


@contextmanager
def poolers(address: Address, db: psycopg.Connection) -> Iterator[Start]:
    """Start one by `with start("pool_mode=transaction", …) as pooler`; its role is gone after the block."""
    name = f"app_{address.dbname}"
    role = sql.Identifier(name)
    db.execute(sql.SQL("create role {} login password {}").format(role, PASSWORD))
    # in /tmp itself: the pooler's account must reach it, and a socket's path may have 107 bytes
    folder = Path(tempfile.mkdtemp(prefix="wedsync-pooler-"))

    @contextmanager
    def start(*settings: str) -> Iterator[Pooler]:
        process = _started(folder, address, name, settings)
        try:
            while not _answers(folder / f".s.PGSQL.{PORT}"):
                assert process.poll() is None, "pgbouncer did not start"
                time.sleep(0.01)
            yield Pooler(replace(address, host=str(folder), port=PORT, user=name, password=PASSWORD), process)
        finally:
            process.kill()
            process.wait()
            with suppress(FileNotFoundError):
                (folder / f".s.PGSQL.{PORT}").unlink()

    yield start
    shutil.rmtree(folder)
    db.execute(sql.SQL("drop owned by {}; drop role {}").format(role, role))


def _started(folder: Path, address: Address, name: str, settings: tuple[str, ...]) -> subprocess.Popen[bytes]:
    lines = [
        "[databases]",
        f"{address.dbname} = host={address.host} port={address.port}",
        "[pgbouncer]",
        "listen_addr=",
        f"unix_socket_dir={folder}",
        f"listen_port={PORT}",
        "auth_type=plain",
        f"auth_file={folder}/users",
        f"admin_users={ADMIN}",
        f"stats_users={WATCHER}",
        *settings,
    ]
    (folder / "ini").write_text("\n".join(lines) + "\n")
    users = {**dict.fromkeys([name, WATCHER, ADMIN, STRANGER], PASSWORD), case.ROLE: case.PASSWORD}
    (folder / "users").write_text("".join(f'"{user}" "{secret}"\n' for user, secret in users.items()))
    account = server_account()
    if account:
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
    as_account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    command = [str(PGBOUNCER), "-q", str(folder / "ini")]
    return subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL, **as_account)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
