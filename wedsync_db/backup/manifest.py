"""The manifest as a file: canonical JSON that carries its own checksum, so that a flipped bit in it is found too."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from wedsync_db.errors import BackupError
from wedsync_db.model import Manifest, RelationContent, ServerFacts

FORMAT = 1


def dump_manifest(manifest: Manifest) -> str:
    """The manifest as text; equal manifests give equal text."""
    body = {"format": FORMAT, **asdict(manifest), "created_at": manifest.created_at.isoformat()}
    return _canonical({**body, "checksum": _checksum(body)})


def load_manifest(text: str) -> Manifest:
    """The manifest of a file's text.

    Raises:
        BackupError: it is not a manifest, is damaged, or comes from a newer program.
    """
    try:
        body = json.loads(text)
        expected = body.pop("checksum")
        number = body.pop("format")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError("its manifest cannot be read", hint=_HINT) from None
    if expected != _checksum({"format": number, **body}):
        raise BackupError("its manifest is damaged", hint=_HINT)
    if number != FORMAT:
        raise BackupError(f"its manifest has format {number}, this program reads {FORMAT}", hint="Update wedsync-db.")
    return _manifest(body)


_HINT = "Use another backup; never restore from this one."


def _manifest(body: dict[str, Any]) -> Manifest:
    try:
        return Manifest(
            **{
                **body,
                "created_at": datetime.fromisoformat(body["created_at"]),
                "server": ServerFacts(**body["server"]),
                "files": {path: (size, sha256) for path, (size, sha256) in body["files"].items()},
                "relations": tuple(RelationContent(**one) for one in body["relations"]),
            }
        )
    except (KeyError, TypeError, ValueError):
        raise BackupError("its manifest lacks something this program needs", hint=_HINT) from None


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(body).encode()).hexdigest()


def _canonical(body: dict[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
