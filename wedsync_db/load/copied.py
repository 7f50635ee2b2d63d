"""A copy to test on: a backup restored on a scratch server of our own, its rows as many and as old as they are.

Nothing of it is on the target's server, which does not even notice. The copy is gone afterwards, also after a kill: the
next one sweeps it away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql

from wedsync_db.backup.restore import restore_alone
from wedsync_db.backup.verify import verify_content
from wedsync_db.errors import UsageError
from wedsync_db.load.beside import fill
from wedsync_db.load.scenario import Scenario
from wedsync_db.migrate.execute import run_scripts
from wedsync_db.migrate.ledger import entries
from wedsync_db.model import Backup, Migration
from wedsync_db.postgres.cluster import scratch, sweep_scratch
from wedsync_db.postgres.session import Address, session

_SPARE_CONNECTIONS = 20
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}  # what a commit costs is a part of it


@contextmanager
def copies_of(
    backup: Backup,
    parent: Path,
    migrations: Sequence[Migration],
    older: Sequence[Migration] | None,
    scenario: Scenario,
    say: Callable[[str], None],
) -> Iterator[tuple[Address, Address | None]]:
    """The backup with all migrations, and, where `older` is given, another copy that has only these; both filled.

    Args:
        backup: What to restore; readable.
        parent: Where scratch servers have their folders.
        migrations: All of them; those that the backup has already are not run again.
        older: What the other copy has; None for no other.
        scenario: Its suppliers are added to what is there.
        say: Told what goes on.

    Raises:
        BackupError: the backup is damaged, or what was restored is not what was backed up.
        Inconclusive: there is no server of that major here.
        MigrationFailed: a statement fails.
        UsageError: the backup has what the other copy must not have.
    """
    sweep_scratch(parent)
    server = backup.manifest.server
    settings = {**_DURABLE, "max_connections": str(scenario.pool + _SPARE_CONNECTIONS)}
    with scratch(server.major, parent, settings, superuser=server.bootstrap) as cluster:
        address = restore_alone(backup, cluster.address(), any_locale=True, say=say)
        verify_content(backup, address, say=say)
        missing = _missing(backup, address, migrations, older)
        with session(address, "load-test", statement_timeout_ms=0) as connection:
            run_scripts(connection, [one for one in missing if older is None or one in older])
            fill(connection, scenario)
        if older is None:
            yield address, None
            return
        other = _doubled(cluster.address(), address)
        with session(address, "load-test", statement_timeout_ms=0) as connection:
            run_scripts(connection, [one for one in missing if one not in older])
            connection.execute("vacuum (analyze)")
        yield address, other


def _missing(
    backup: Backup, address: Address, migrations: Sequence[Migration], older: Sequence[Migration] | None
) -> Sequence[Migration]:
    """The migrations that the copy has not yet.

    Raises:
        UsageError: it has one already that it is to be compared without.
    """
    with session(address, "load-test") as connection:
        there = {one.id for one in entries(connection)}
    newer = [] if older is None else [one.id for one in migrations if one not in older and one.id in there]
    if newer:
        raise UsageError(
            f"the backup {backup.id} has {newer[0]} already: there is no before",
            hint="Name a later migration, or a backup made before it.",
        )
    return [one for one in migrations if one.id not in there]


def _doubled(server: Address, address: Address) -> Address:
    """Another database just like it."""
    other = address.with_database(f"{address.dbname[:50]}_before")
    names = [sql.Identifier(one.dbname) for one in (other, address)]
    with session(server, "load-test", statement_timeout_ms=0) as connection:
        connection.execute(sql.SQL("create database {} template {}").format(*names))
    return other
