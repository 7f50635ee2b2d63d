"""PostgreSQL servers that we start ourselves: the embedded ones, and scratch servers for rehearsals and drills.

How long each lives is decided here; pg_ctl.py starts and stops them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from wedsync_db.errors import Refused
from wedsync_db.filelock import LOCK, claimed_folder, exclusive, lock_file, share, try_alone
from wedsync_db.home import Home
from wedsync_db.postgres.account import server_account
from wedsync_db.postgres.binaries import binaries_of, server_binaries
from wedsync_db.postgres.pg_ctl import (
    DEPLOYER,
    SUPERUSER,
    Cluster,
    answering,
    cluster_in,
    create,
    socket_folder,
    start,
    stop,
)

__all__ = [
    "DEPLOYER",
    "SUPERUSER",
    "Cluster",
    "binaries_of",
    "claimed",
    "create",
    "embedded",
    "embedded_exists",
    "scratch",
    "start",
    "stop",
    "sweep_scratch",
]

_SCRATCH = "wedsync-scratch-"
_ROOM = {"max_connections": "200"}  # for a load test of the larger pool, 100
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def embedded(home: Home, major: int) -> Iterator[Cluster]:
    """The installation's own server of this major, made and started on demand, stopped when its last user leaves.

    Durable. Any number of processes may want it at the same moment: each holds a share of a lock that the kernel takes
    back even from a killed one, and whoever leaves and finds itself alone stops the server.

    Raises:
        Refused: there are no binaries of this major, or its folder holds something else.
        WedsyncError: the server does not start.
    """
    home.ensure()
    gate = home.pg / f"{major}.lock"  # held while the server is made, started or stopped
    with lock_file(home.pg / f"{major}.users") as users:
        with exclusive(gate):
            share(users)
            cluster = _made(home, major)
            if not answering(cluster):
                start(cluster, _ROOM)
        try:
            yield cluster
        finally:
            with exclusive(gate):
                if try_alone(users):
                    stop(cluster)


def embedded_exists(home: Home, major: int) -> bool:
    """Whether the installation has a server of this major already; creates nothing."""
    return (home.pg / str(major)).exists()


def _made(home: Home, major: int) -> Cluster:
    """The cluster of this major, made if there is none: under a temporary name first, as initdb may be killed.

    Raises:
        Refused: there are no binaries of this major, or the folder holds something else.
    """
    folder = home.pg / str(major)
    binaries = server_binaries(major, server_account(home.pg))
    if not folder.exists():
        for unfinished in home.pg.glob(f"{major}.new-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=f"{major}.new-", dir=home.pg))
        create(fresh, binaries, durable=True)
        fresh.rename(folder)
        _sync(home.pg)
    _check_version(folder, major)
    return cluster_in(folder, binaries)


def _check_version(folder: Path, major: int) -> None:
    file = folder / "data" / "PG_VERSION"
    found = file.read_text().strip() if file.exists() else None
    if found == str(major):
        return
    what = f"a PostgreSQL {found} server" if found else "no PostgreSQL server"
    raise Refused(f"{folder} holds {what}, not one of {major}", hint="Move the folder away, or put the right one back.")


def _sync(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def scratch(
    major: int,
    parent: Path | None = None,
    settings: Mapping[str, str] | None = None,
    *,
    superuser: str = SUPERUSER,
) -> Iterator[Cluster]:
    """A fresh server of this major that is gone, with its data, when the block ends. Not durable: fsync is off.

    What is left when its user is killed, `sweep_scratch` removes.

    Raises:
        Refused: there are no binaries of this major here.
        WedsyncError: the server does not start.
    """
    binaries = server_binaries(major, server_account(parent))
    with claimed(parent or Path(tempfile.gettempdir())) as folder:
        cluster = cluster_in(folder, binaries, superuser)
        try:
            create(folder, binaries, superuser=superuser)
            start(cluster, {**_NOT_DURABLE, **(settings or {})})
            yield cluster
        finally:
            _remove(cluster)


def claimed(parent: Path) -> AbstractContextManager[Path]:
    """A private folder that is gone after the block, or by `sweep_scratch` when its user was killed."""
    return claimed_folder(parent, _SCRATCH)


def sweep_scratch(parent: Path) -> tuple[Path, ...]:
    """Stop and delete the scratch servers in `parent` whose users were killed; their folders, removed.

    Servers in use are left alone, in this process too.
    """
    removed = []
    for folder in sorted(parent.glob(f"{_SCRATCH}*")):
        with lock_file(folder / LOCK) as descriptor:
            if try_alone(descriptor):
                _stop_left(folder)
                _delete(folder)
                removed.append(folder)
    return tuple(removed)


def _stop_left(folder: Path) -> None:
    """Stop the server in `folder`, if there came to be one: its user may have been killed before, or in initdb."""
    version, started = folder / "data" / "PG_VERSION", folder / "data" / "postmaster.pid"
    text = version.read_text().strip() if version.exists() and started.exists() else ""
    if text.isdecimal():
        stop(cluster_in(folder, server_binaries(int(text), server_account(folder))), "immediate")


def _remove(cluster: Cluster) -> None:
    if cluster.data.exists():
        stop(cluster, "immediate")
    _delete(cluster.data.parent)


def _delete(folder: Path) -> None:
    """Delete a cluster's folder and that of its socket."""
    for each in {folder, socket_folder(folder)}:
        shutil.rmtree(each, ignore_errors=True)
