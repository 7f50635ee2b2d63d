"""The scratch server of a rehearsal: the backup restored into it, and as often as needed the same state again.

Each copy is the whole server, not a database made by template: roles and their settings belong to the server, and
what a migration does to them on one copy must not be there already on the next. The copy keeps the database's name,
which scripts may mention.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from psycopg import sql

from wedsync_db.backup.restore import restore_alone
from wedsync_db.backup.verify import verify_content
from wedsync_db.errors import Inconclusive
from wedsync_db.model import Backup
from wedsync_db.postgres.cluster import scratch, start, stop, sweep_scratch
from wedsync_db.postgres.pg_ctl import SUPERUSER, Cluster, run
from wedsync_db.postgres.session import Address, session

Say = Callable[[str], None]
_EMPTY_DATABASE = "rehearsal"
# autovacuum would write WAL and take locks between our measurements
_SERVER = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


@dataclass(frozen=True, slots=True)
class Copy:
    """A database to rehearse on: as superuser, and with the deployer's rights and settings."""

    superuser: Address
    deployer: Address


class Renew(Protocol):
    """Gives a fresh copy; the one given before is gone then."""

    def __call__(self, *, last: bool = False) -> Copy:
        """After a call with `last` there is no other copy to be had."""
        ...


@contextmanager
def copies(
    major: int,
    parent: Path,
    *,
    backup: Backup | None,
    deployer: str | None,
    settings: Mapping[str, str],
    say: Say,
) -> Iterator[Renew]:
    """Restore the backup (None: make an empty database) and yield what gives a fresh copy of that state at each call.

    The copy given before is gone then. A call with `last=True` is the last, and the quickest. What killed rehearsals
    left in `parent` is removed first.

    Raises:
        BackupError: the backup is damaged, or the restored copy is not what was backed up.
        Inconclusive: a scratch server cannot stand for the target.
    """
    # PostgreSQL makes this role the owner of some objects (a range type's constructors): the name must be the same
    superuser = backup.manifest.server.bootstrap if backup else SUPERUSER
    _refuse_namesake(deployer, superuser)
    sweep_scratch(parent)
    with scratch(major, parent, _SERVER, superuser=superuser) as cluster:
        database = _restored(cluster, backup, say) if backup else _empty(cluster, deployer)
        stop(cluster)
        kept = cluster.data.parent / "kept"
        cluster.data.rename(kept)
        address = cluster.address(database)
        copy = Copy(address, _as_deployer(address, deployer, settings))

        def renew(*, last: bool = False) -> Copy:
            _renew(cluster, kept, last=last)
            return copy

        yield renew


def _renew(cluster: Cluster, kept: Path, *, last: bool) -> None:
    if cluster.data.exists():
        stop(cluster, "immediate")
        shutil.rmtree(cluster.data)
    if last:
        kept.rename(cluster.data)
    else:
        run(["cp", "-Rp", kept, cluster.data], None)  # as root it keeps the owner
    start(cluster, _SERVER)


def _restored(cluster: Cluster, backup: Backup, say: Say) -> str:
    """Restore the backup, prove that it is what was backed up; the database's name."""
    address = restore_alone(backup, cluster.address(), any_locale=True, say=say)
    verify_content(backup, address, say=say)
    rows = sum(relation.rows for relation in backup.manifest.relations)
    say(f"the backup is proven: {rows:,} rows of {len(backup.manifest.relations)} tables are as its manifest says")
    return address.dbname


def _empty(cluster: Cluster, deployer: str | None) -> str:
    owner = sql.Identifier(deployer or SUPERUSER)
    with session(cluster.address(), "rehearse") as connection:
        if deployer:
            connection.execute(sql.SQL("create role {} createrole").format(owner))
        connection.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(_EMPTY_DATABASE), owner))
    return _EMPTY_DATABASE


def _refuse_namesake(deployer: str | None, superuser: str) -> None:
    if deployer == superuser:
        raise Inconclusive(
            f"the deploying role is called {superuser}, like the superuser of our scratch servers: it would have more"
            " rights in a rehearsal than in the deployment",
            hint="Deploy with a role of another name, or with a superuser.",
        )


def _as_deployer(address: Address, deployer: str | None, settings: Mapping[str, str]) -> Address:
    """The address that gives a session the deployer's rights and the target's settings, whatever roles carry here."""
    options = " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())
    return Address(
        address.host,
        address.port,
        address.dbname,
        address.user,
        session_authorization=deployer,
        parameters={"options": options} if options else {},
    )


def _escaped(value: str) -> str:
    """For libpq's options, where a blank separates and a backslash escapes."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
