"""How far a backup is proven, written beside it: the truth from which the registry can be made again.

Each kind of proof has one note, which tells how it ended the last time. A note that cannot be read, or is about another
manifest, proves nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from wedsync_db.backup.retention import Progress, Stored
from wedsync_db.backup.store import DRILLED, MANIFEST, VERIFIED, write_beside
from wedsync_db.model import Backup

Kind = Literal["verified", "drilled"]
_FILES: Mapping[Kind, str] = {"verified": VERIFIED, "drilled": DRILLED}


@dataclass(frozen=True, slots=True)
class Proof:
    """How it ended, and when. `seconds`: how long it took; `data_age`: seconds from the snapshot to a drill's start."""

    good: bool
    at: datetime
    problem: str = ""
    seconds: float | None = None
    data_age: float | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    """What was proven of a backup: reading its files back, and restoring it."""

    verified: Proof | None = None
    drilled: Proof | None = None

    @property
    def progress(self) -> Progress:
        """How far it is; failed where the last look at it, of either kind, found something wrong."""
        if (self.verified and not self.verified.good) or (self.drilled and not self.drilled.good):
            return "failed"
        return "restored" if self.drilled else "verified" if self.verified else "complete"

    @property
    def problem(self) -> str:
        """What was found wrong; empty where nothing was."""
        return next((one.problem for one in (self.drilled, self.verified) if one and not one.good), "")


def note(backup: Backup, kind: Kind, proof: Proof) -> None:
    """Write down how a look at the backup ended.

    Raises:
        BackupError: it cannot be written.
    """
    body = {**asdict(proof), "at": proof.at.isoformat(), "backup": backup.id, "manifest": manifest_sha256(backup)}
    write_beside(backup, _FILES[kind], json.dumps(body, indent=1, ensure_ascii=False) + "\n")


def proven(backup: Backup) -> Proven:
    """What the notes beside a backup say."""
    return Proven(_read(backup, VERIFIED), _read(backup, DRILLED))


def stored(backup: Backup) -> Stored:
    """The backup as retention looks at it."""
    return Stored(backup.id, backup.manifest.created_at, proven(backup).progress)


def manifest_sha256(backup: Backup) -> str:
    """What identifies the backup's content: its manifest names every file's checksum."""
    return hashlib.sha256((backup.path / MANIFEST).read_bytes()).hexdigest()


def _read(backup: Backup, name: str) -> Proof | None:
    try:
        body = json.loads((backup.path / name).read_text(encoding="utf-8"))
        if (body.pop("backup"), body.pop("manifest")) != (backup.id, manifest_sha256(backup)):
            return None
        return Proof(**{**body, "at": datetime.fromisoformat(body["at"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
