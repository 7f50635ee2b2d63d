"""A primary and a standby that streams from it, both ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wedsync_db.postgres.account import server_account
from wedsync_db.postgres.cluster import Cluster, claimed, scratch, start, stop
from wedsync_db.postgres.pg_ctl import cluster_in
from wedsync_db.postgres.session import session

_ROLE, _PASSWORD = "replicator", "not-a-secret-31ce"


@contextmanager
def primary_and_standby(major: int) -> Iterator[tuple[Cluster, Cluster]]:
    """Both run, and the standby has begun to stream; gone when the block ends."""
    with scratch(major) as primary, claimed(Path(tempfile.gettempdir())) as folder:
        _let_in(primary)
        standby = cluster_in(folder, primary.binaries)
        _copy(primary, standby)
        start(standby, {"fsync": "off", "wal_receiver_status_interval": "1s", "hot_standby_feedback": "on"})
        try:
            yield primary, standby
        finally:
            stop(standby, "immediate")
            shutil.rmtree(standby.socket, ignore_errors=True)


def _let_in(primary: Cluster) -> None:
    """A role that may stream with a password: the server's own account is none of those that peer knows."""
    with (primary.data.parent / "pg_hba.conf").open("a") as rules:
        rules.write(f"local replication {_ROLE} scram-sha-256\n")
    with session(primary.address(), "test") as db:
        db.execute(f"create role {_ROLE} login replication password '{_PASSWORD}'")
        db.execute("select pg_reload_conf()")


def _copy(primary: Cluster, standby: Cluster) -> None:
    account = server_account(standby.data.parent.parent)
    subprocess.run(
        [primary.binaries / "pg_basebackup", "-h", primary.socket, "-p", str(primary.port), "-U", primary.superuser,
         "-D", standby.data, "-c", "fast", "--no-sync", "--no-manifest"],
        check=True,
    )  # fmt: skip
    where = f"host={primary.socket} port={primary.port} user={_ROLE} password={_PASSWORD} application_name=copy"
    with (standby.data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"primary_conninfo = '{where}'\n")
    (standby.data / "standby.signal").touch()
    if account:
        os.chown(standby.data.parent, -1, account.pw_gid)
        standby.data.parent.chmod(0o710)
        for path in (standby.data, *standby.data.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
