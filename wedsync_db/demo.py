"""The stage of the demo: its own environments.toml and migrations, on the embedded server's demo database."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from wedsync_db.errors import WedsyncError
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.postgres import content, fingerprint
from wedsync_db.postgres.cluster import embedded
from wedsync_db.postgres.session import session
from wedsync_db.seed import seed

ENVIRONMENT = "demo"
FIRST = "0009_booking"  # the last of the first deployment; the second brings what is behind it, onto data
_EXTRAS = CHECKOUT / "docs" / "demo-migrations"
_MAJOR = 18
_DATABASE = "wedsync_demo"
_WATCH_SECONDS = 0.05

ACTS = {
    "first": """
── 1. A first deployment ────────────────────────────────────────────────────────────────────
Nine migrations onto an empty database. Then it is filled with made-up suppliers and weddings.
""",
    "whole": """
── 2. A deployment onto data ────────────────────────────────────────────────────────────────
The other migrations. A backup is made and restored into a scratch server, which proves the backup.
On copies of it they run up, down and up again; only then do they run for real.
""",
    "inexact": """
── 3. A migration that cannot be taken back ─────────────────────────────────────────────────
It merges data, and its revert script cannot bring the old values back. The rehearsal compares the
content before and after, notices, and stops. The target must not be touched.
""",
    "late": """
── 4. A failure that no rehearsal can foresee ───────────────────────────────────────────────
Two migrations that pass on the backup's data. While they are rehearsed a supplier writes a row that
breaks the second one. It fails on the target, the first is undone by its proven revert, and the
supplier's row stays.
""",
}

CLOSING = """
── What was proven ──────────────────────────────────────────────────────────────────────────
1. Every backup was restored and compared, row by row, before the target was touched.
2. A migration whose revert loses something does not reach the target unless its author says so.
3. A deployment that fails leaves the database as it was, with every row that was written meanwhile.

Reports:      {reports}
Run history:  ./dev up, then open the address it prints
State folder: {home}
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What the demo compares: the catalog's fingerprint and the number of rows outside the audit log."""

    fingerprint: str
    rows: int


def settings_file(installation: Installation) -> Path:
    """The demo's own environments.toml."""
    return installation.home.path / "demo" / "environments.toml"


def put(
    installation: Installation, *, upto: str | None = None, extra: str | None = None, atomic: str = "deployment"
) -> None:
    """Lay out what the next deployment finds: our migrations, up to one of them, or with the demo's own behind."""
    folder = settings_file(installation).parent
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    sources = [path for path in (CHECKOUT / "migrations").iterdir() if upto is None or path.name <= upto]
    sources += [path for path in (_EXTRAS / extra).iterdir() if path.is_dir()] if extra else []
    for source in sources:
        shutil.copytree(source, folder / "migrations" / source.name)
    settings_file(installation).write_text(
        f'[environments.{ENVIRONMENT}]\nembedded_major = {_MAJOR}\ndatabase = "{_DATABASE}"\n'
        f'migrations = "migrations"\nallow_data_copy = true\natomic = "{atomic}"\n'
        f'[environments.{ENVIRONMENT}.guard]\nfreeze = "off"\n'
    )


@contextmanager
def empty_target(installation: Installation) -> Iterator[None]:
    """Start over with an empty demo database; the server stays up for as long as the block lasts."""
    with embedded(installation.home, _MAJOR) as cluster:
        with session(cluster.address(), "demo", statement_timeout_ms=0) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(_DATABASE)))
        with installation.target(ENVIRONMENT, create=True):
            yield


def fill(
    installation: Installation, *, say: Callable[[str], None], progress: Callable[[float], None]
) -> Mapping[str, int]:
    """Fill the demo database with made-up data; rows by table."""
    with installation.target(ENVIRONMENT) as address:
        return seed(address, size="demo", say=say, progress=progress)


def look(installation: Installation) -> Look:
    """The demo database now."""
    everything = {"row_security": "off"}
    with installation.target(ENVIRONMENT) as address, session(address, "demo", settings=everything) as connection:
        # what is written is also logged: the log's own entries are not the suppliers' rows
        counted = [table for table in content.tables(connection) if not table.startswith("audit.")]
        rows = sum(content.measure(connection, table).rows for table in counted)
        return Look(fingerprint.take(connection).digest, rows)


@contextmanager
def row_written_after_the_backup(installation: Installation, *, say: Callable[[str], None]) -> Iterator[None]:
    """A supplier at work beside the deployment: writes one row as soon as the next backup is there.

    Raises:
        WedsyncError: there was no backup to wait for.
    """
    known = _backups(installation)
    done = threading.Event()
    written = threading.Event()

    def write() -> None:
        while not done.wait(_WATCH_SECONDS):
            if _backups(installation) - known:
                with installation.target(ENVIRONMENT) as address, session(address, "supplier") as connection:
                    connection.execute((_EXTRAS / "pair" / "late_row.sql").read_bytes())
                written.set()
                say("   … meanwhile a supplier writes a row")
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()
    if not written.is_set():
        raise WedsyncError("the demo's own row was not written")


def _backups(installation: Installation) -> set[Path]:
    folder = installation.home.backups(ENVIRONMENT)
    return {path.parent for path in folder.glob("*/manifest.json")}
