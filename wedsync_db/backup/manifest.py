"""The manifest as a file: canonical JSON that carries its own checksum, so that a flipped bit in it is found too."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from wedsync_db.errors import BackupError
from wedsync_db.model import Encryption, Manifest, RelationContent, ServerFacts

FORMAT = 2
_READ = (1, FORMAT)  # 1 lacks the large objects' content and the encryption


def dump_manifest(manifest: Manifest, seal: Callable[[str], str] | None = None) -> str:
    """The manifest as text; equal manifests give equal text. `seal` says of the text what only the key's owner can."""
    body = {"format": FORMAT, **asdict(manifest), "created_at": manifest.created_at.isoformat()}
    sealed = {"seal": seal(_canonical(body))} if seal else {}
    return _canonical({**body, "checksum": _checksum(body), **sealed})


def is_sealed(text: str, seal: Callable[[str], str]) -> bool:
    """Whether the seal in a manifest's text is the one that `seal` gives for it."""
    body = json.loads(text)
    body.pop("checksum")
    return hmac.compare_digest(str(body.pop("seal", "")), seal(_canonical(body)))


def load_manifest(text: str) -> Manifest:
    """The manifest of a file's text.

    Raises:
        BackupError: it is not a manifest, is damaged, or comes from a newer program.
    """
    try:
        body = json.loads(text)
        expected = body.pop("checksum")
        number = body.pop("format")
        body.pop("seal", None)  # `is_sealed` looks at it, where the key is
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError("its manifest cannot be read", hint=_HINT) from None
    if expected != _checksum({"format": number, **body}):
        raise BackupError("its manifest is damaged", hint=_HINT)
    if number not in _READ:
        raise BackupError(
            f"its manifest has format {number}, this program reads up to {FORMAT}", hint="Update wedsync-db."
        )
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
                "encryption": Encryption(**body["encryption"]) if body.get("encryption") else None,
                "relations": tuple(RelationContent(**one) for one in body["relations"]),
            }
        )
    except (KeyError, TypeError, ValueError):
        raise BackupError("its manifest lacks something this program needs", hint=_HINT) from None


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(body).encode()).hexdigest()


def _canonical(body: dict[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
