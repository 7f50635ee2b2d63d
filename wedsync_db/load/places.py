"""Where a load test runs: beside the target or on a copy of a backup; and a second time without a migration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from wedsync_db.installation import Installation
from wedsync_db.load.beside import load_database
from wedsync_db.load.copied import copies_of
from wedsync_db.load.fingerprint import fingerprint
from wedsync_db.load.janitor import janitor
from wedsync_db.load.scenario import Scenario
from wedsync_db.model import Backup, Migration
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment


@dataclass(frozen=True, slots=True)
class Places:
    """The database that is tested, and, where two are compared, the one without the migration.

    `beside` is another database of their server, from which they are looked at; `server` is its version, `fingerprint`
    what tests must have in common to be compared.
    """

    newest: Address
    older: Address | None
    beside: Address
    server: str
    fingerprint: str


@contextmanager
def places(
    installation: Installation,
    environment: Environment,
    target: Address,
    migrations: Sequence[Migration],
    older: Sequence[Migration] | None,
    scenario: Scenario,
    *,
    backup: Backup | None,
    engine: str,
    say: Callable[[str], None],
) -> Iterator[Places]:
    """The databases, filled; gone after the block.

    Raises:
        Refused: a database's name is taken, or the role may not create databases.
        BackupError: the backup is damaged.
        Inconclusive: there is no server here that could hold the backup.
        MigrationFailed: a statement fails.
    """
    if backup:
        scratch = installation.home.ensure().scratch
        with (
            installation.readable(environment, backup) as plain,
            copies_of(plain, scratch, migrations, older, scenario, say) as (newest, other),
        ):
            yield _places(newest, other, newest.with_database("postgres"), scenario, f"{engine} on {backup.id}")
        return
    with janitor(target), load_database(target, migrations, scenario) as newest:
        if older is None:
            yield _places(newest, None, target, scenario, engine)
            return
        with load_database(target, older, scenario, before=True) as other:
            yield _places(newest, other, target, scenario, engine)


def _places(newest: Address, older: Address | None, beside: Address, scenario: Scenario, how: str) -> Places:
    with session(newest, "load-test") as connection:
        version = connection.info.parameter_status("server_version")
        return Places(newest, older, beside, f"PostgreSQL {version}", fingerprint(connection, scenario, how))
