"""Tells the target about its newest backups, where it has the table that ops.get_last_backup_time() answers from."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from wedsync_db.backup.proven import manifest_sha256
from wedsync_db.errors import WedsyncError
from wedsync_db.history.backups import entry_of
from wedsync_db.model import Backup
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session

_LONGEST = 500  # characters that the table takes for a place


def mirror(address: Address, backups: Sequence[Backup]) -> str:
    """Write the newest backup, and the newest restored one, into the target; what went wrong, or nothing. No error."""
    restored = [one for one in backups if entry_of(one).state == "restored"]
    try:
        with session(address, "backup") as connection:
            if connection.execute(query("backups_registry", "has_mirror")).fetchall()[0][0]:
                for one in {b.id: b for b in [*restored[-1:], *backups[-1:]]}.values():
                    connection.execute(query("backups_registry", "mirror"), _row(one))
    except (WedsyncError, psycopg.Error, OSError) as error:
        said = error.message if isinstance(error, WedsyncError) else type(error).__name__
        return f"the target could not be told of its backups: {said}"
    return ""


def _row(backup: Backup) -> dict[str, object]:
    entry = entry_of(backup)
    return {
        "id": entry.id,
        "state": entry.state,
        "finished_at": entry.finished_at,
        "drilled_at": entry.drilled_at,
        "stored_bytes": entry.stored_bytes,
        "sha256": manifest_sha256(backup),
        "location": (entry.location or "")[-_LONGEST:],
    }
