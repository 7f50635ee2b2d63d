"""Encrypts the files of a backup so that every change to them is found: AES-256-GCM, in chunks of 1 MiB.

    file  = header, chunk, chunk, … last chunk; each chunk up to 1 MiB of the file and a tag of 16 bytes
    nonce = number of the chunk (11 bytes, from 0, big endian), 1 for the last chunk, else 0
    key   = HKDF-SHA256 of the secret, with the backup's salt, for backup and file: never used for another file
    associated data = the backup's id, a zero byte, the file's name

A chunk that is missing, moved, taken from elsewhere or changed does not open, and neither does a file that was cut: its
last chunk does not say that it is the last one. The manifest stays readable, and is sealed (HMAC-SHA256) with a key
derived in the same way. Format 1; another one gets another name.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wedsync_db.backup.keys import Key
from wedsync_db.errors import BackupError

METHOD: Final = "aes-256-gcm-chunks-v1"
SUFFIX: Final = ".enc"
CHUNK_BYTES: Final = 1 << 20
_HEADER = b"wedsync-db " + METHOD.encode() + b"\n"
_TAG_BYTES = 16
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Cipher:
    """The keys of one backup, derived from the secret and the backup's salt."""

    key: Key
    salt: bytes
    backup_id: str

    def seal(self, text: str) -> str:
        """What only somebody with the key can say about the manifest's text."""
        return hmac.new(self._derived("manifest", ""), text.encode(), hashlib.sha256).hexdigest()

    def chunks(self, name: str) -> tuple[AESGCM, bytes]:
        """Cipher and associated data of one file, by the name it had before."""
        return AESGCM(self._derived("file", name)), f"{self.backup_id}\0{name}".encode()

    def _derived(self, purpose: str, name: str) -> bytes:
        info = f"wedsync-db {METHOD}\0{purpose}\0{self.backup_id}\0{name}".encode()
        return HKDF(SHA256(), _KEY_BYTES, self.salt, info).derive(self.key.secret)


def encrypt_files(folder: Path, cipher: Cipher, *, jobs: int = 1) -> dict[str, tuple[int, str]]:
    """Put an encrypted file, durable, in the place of each one below the folder; their sizes and SHA-256 by name.

    Raises:
        OSError: no room.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())

    def one(path: Path) -> tuple[str, tuple[int, str]]:
        name = str(path.relative_to(folder))
        target = path.with_name(path.name + SUFFIX)
        found = _copy(path, target, lambda source: _encrypted(source, cipher, name), durable=True)
        path.unlink()
        return name + SUFFIX, found

    with ThreadPoolExecutor(max(1, jobs)) as threads:
        return dict(threads.map(one, paths))


def decrypt_files(
    folder: Path, names: Iterator[str], cipher: Cipher, target: Path, *, jobs: int = 1
) -> dict[str, tuple[int, str]]:
    """Write the files as they were into another folder; their sizes and SHA-256 by the names they had.

    Raises:
        BackupError: one is not as it was written, or belongs to another backup; naming it.
        OSError: no room.
    """

    def one(stored: str) -> tuple[str, tuple[int, str]]:
        name = stored.removesuffix(SUFFIX)
        path = target / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return name, _copy(folder / stored, path, lambda source: _decrypted(source, cipher, name), durable=False)

    with ThreadPoolExecutor(max(1, jobs)) as threads:
        return dict(threads.map(one, sorted(names)))


def require_room(folder: Path, sizes: Iterator[int]) -> None:
    """Make sure that so many bytes fit on the folder's disk.

    Raises:
        OSError: they do not.
    """
    if sum(sizes) > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _copy(
    source: Path, target: Path, convert: Callable[[BinaryIO], Iterator[bytes]], *, durable: bool
) -> tuple[int, str]:
    sha, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source.open("rb") as reading, os.fdopen(descriptor, "wb") as writing:
        for part in convert(reading):
            sha.update(part)
            size += len(part)
            writing.write(part)
        if durable:
            writing.flush()
            os.fsync(writing.fileno())
    return size, sha.hexdigest()


def _encrypted(source: BinaryIO, cipher: Cipher, name: str) -> Iterator[bytes]:
    aead, bound_to = cipher.chunks(name)
    yield _HEADER
    for number, chunk, last in _parts(source, CHUNK_BYTES):
        yield aead.encrypt(_nonce(number, last=last), chunk, bound_to)


def _decrypted(source: BinaryIO, cipher: Cipher, name: str) -> Iterator[bytes]:
    aead, bound_to = cipher.chunks(name)
    if source.read(len(_HEADER)) != _HEADER:
        raise _not_authentic(cipher, name)
    for number, chunk, last in _parts(source, CHUNK_BYTES + _TAG_BYTES):
        try:
            yield aead.decrypt(_nonce(number, last=last), chunk, bound_to)
        except InvalidTag:
            raise _not_authentic(cipher, name) from None


def _parts(source: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Chunks with their number, and whether it is the last; an empty file has one, which is empty."""
    number, chunk = 0, source.read(size)
    while True:
        following = source.read(size)
        yield number, chunk, not following
        if not following:
            return
        number, chunk = number + 1, following


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _not_authentic(cipher: Cipher, name: str) -> BackupError:
    return BackupError(
        f"backup {cipher.backup_id} is damaged: {name}{SUFFIX} is not what was encrypted with key {cipher.key.id}",
        hint="Use another backup; nothing of this one was restored.",
    )
