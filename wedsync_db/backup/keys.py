"""The keys that backups are encrypted with: read from a variable, never written anywhere, known by an id.

The variable holds the base64 of 32 bytes (`openssl rand -base64 32`). After a change of keys it holds the new one and,
separated by blanks, the older ones: the first encrypts, all of them decrypt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wedsync_db.errors import Inconclusive, Refused, UsageError
from wedsync_db.redact import register_secret
from wedsync_db.settings import Environment

_BYTES = 32
_MAKE_ONE = "openssl rand -base64 32"


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of 32 bytes. `id` tells keys apart and says nothing about the secret."""

    id: str
    secret: bytes = field(repr=False)


def known_keys(environment: Environment, environ: Mapping[str, str]) -> tuple[Key, ...]:
    """Every key this machine was given for the environment, the newest first; none where it names no variable.

    Raises:
        UsageError: the variable is missing, or holds something else than keys.
    """
    variable = environment.backup_key_env
    if variable is None:
        return ()
    words = environ.get(variable, "").split()
    if not words:
        raise UsageError(
            f"environment {environment.name} needs the variable {variable}, which is not set",
            hint=f"It holds the key of the backups. A new one: {_MAKE_ONE}. Keep it away from the backups.",
        )
    return tuple(_key(word, variable) for word in words)


def newest_key(environment: Environment, environ: Mapping[str, str]) -> Key | None:
    """The key to encrypt a backup with; None where the environment keeps them as they are.

    Raises:
        Refused: it asks for TLS, so its data is not to be read by everybody, and names no key.
        UsageError: the variable is missing, or holds something else than keys.
    """
    keys = known_keys(environment, environ)
    if not keys and environment.require_tls:
        raise Refused(
            f"{environment.name} requires TLS and names no key: its backups would lie on the disk for all to read",
            hint=f"Set backup_key_env in environments.toml to the name of a variable, and that to a key: {_MAKE_ONE}",
        )
    return keys[0] if keys else None


def choose_key(keys: Iterable[Key], key_id: str, backup_id: str) -> Key:
    """The key of that id.

    Raises:
        Inconclusive: it is not among them, which says nothing about the backup.
    """
    for key in keys:
        if key.id == key_id:
            return key
    raise Inconclusive(
        f"backup {backup_id} is encrypted with key {key_id}, which is not here",
        hint="Put that key into the variable that backup_key_env names, after the newer one.",
    )


def _key(word: str, variable: str) -> Key:
    register_secret(word)
    try:
        secret = base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != _BYTES:
        raise UsageError(f"{variable} holds no key: it must be the base64 of {_BYTES} bytes", hint=_MAKE_ONE)
    return Key(hashlib.sha256(b"wedsync-db key id" + secret).hexdigest()[:16], secret)
