"""Whether there is anything to plan at all: answered from raw bytes, without parsing a single script."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from wedsync_db.model import LedgerEntry


def unchanged(folder: Path, applied: Sequence[LedgerEntry]) -> bool:
    """Whether the folder holds exactly the applied migrations, each deploy.sql byte for byte as it was applied.

    Anything else there, and anything that cannot be read, makes it False: the plan then says what it is. A fault in a
    revert.sql or verify.sql of an applied migration, of which a plan only warns, is not looked for.
    """
    try:
        names = {p.name for p in folder.iterdir() if not p.name.startswith(".")} - {"README.md"}
        return names == {entry.id for entry in applied} and all(_same(folder, entry) for entry in applied)
    except OSError:
        return False


def _same(folder: Path, entry: LedgerEntry) -> bool:
    path = folder / entry.id / "deploy.sql"
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
