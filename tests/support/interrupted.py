"""A runner in a process of its own, to be killed.

    python -m tests.support.interrupted deploy|recover HOST PORT DB USER DIR

It says HERE and then waits for its end: a deployment before its third migration, a recovery after its first revert.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.support.deployed import QUICK
from wedsync_db.migrate import journal
from wedsync_db.migrate.apply import apply
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.recover import recover
from wedsync_db.model import Plan
from wedsync_db.postgres.locks import target_lock
from wedsync_db.postgres.session import Address, session


def here() -> None:
    sys.stdout.write("HERE\n")
    sys.stdout.flush()
    time.sleep(60)


def deploy(address: Address, folder: Path) -> None:
    migrations, _ = read_migrations(folder)
    calls = iter(range(10))
    with session(address, "journal") as connection:
        (deployment,) = journal.unfinished(connection)
    with target_lock(address, "deploy", wait_seconds=5, say=print) as lock:
        apply(
            address, Plan(migrations, ()), deployment, proofs=(), atomic="migration", locks=QUICK, lock_pid=lock.pid,
            between=lambda: here() if next(calls) == 2 else None, say=print,
        )  # fmt: skip


def undo(address: Address, folder: Path) -> None:
    migrations, _ = read_migrations(folder)
    recover(
        address, migrations, locks=QUICK, clock=lambda: datetime.now(UTC),
        say=lambda line: here() if line.startswith("reverted") else None,
    )  # fmt: skip


if __name__ == "__main__":
    what, host, port, dbname, user, folder = sys.argv[1:]
    (deploy if what == "deploy" else undo)(Address(host, int(port), dbname, user), Path(folder))
