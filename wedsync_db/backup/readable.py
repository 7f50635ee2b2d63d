"""A backup's files as they were when they were dumped, for as long as somebody reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from wedsync_db.backup.encryption import METHOD, Cipher, decrypt_files, require_room
from wedsync_db.backup.keys import Key, choose_key
from wedsync_db.backup.manifest import is_sealed
from wedsync_db.backup.store import MANIFEST, check_files, in_use
from wedsync_db.errors import BackupError, Inconclusive
from wedsync_db.model import Backup
from wedsync_db.postgres.cluster import claimed, sweep_scratch

_PRIVATE = 0o700


@contextmanager
def readable(backup: Backup, keys: Sequence[Key], scratch: Path, *, jobs: int = 2) -> Iterator[Backup]:
    """The backup without its encryption, in a private folder below `scratch` that is gone after the block.

    A backup that is not encrypted is itself. Either way nobody deletes it meanwhile.

    Raises:
        BackupError: it is damaged, or was changed by somebody without the key.
        Inconclusive: its key is not here, there is no room for it, or a newer program encrypted it.
    """
    with in_use(backup):
        if backup.manifest.encryption is None:
            yield backup
            return
        check_files(backup)
        cipher = require_sealed(backup, keys)
        sweep_scratch(scratch)
        with claimed(scratch) as folder:
            folder.chmod(_PRIVATE)
            yield _decrypted(backup, cipher, folder / "plain", jobs)


def require_plain(backup: Backup) -> None:
    """Make sure that the files of a backup, or of what `readable` gave for it, are not encrypted.

    Raises:
        BackupError: they are.
    """
    if backup.manifest.encryption is not None:
        raise BackupError(f"backup {backup.id} is encrypted with key {backup.manifest.encryption.key_id}")


def require_sealed(backup: Backup, keys: Sequence[Key]) -> Cipher:
    """Make sure that the manifest of an encrypted backup is as its maker wrote it; gives what decrypts the files.

    Raises:
        BackupError: it is not.
        Inconclusive: its key is not here, or a newer program encrypted it.
    """
    used = backup.manifest.encryption
    if used is None or used.method != METHOD:
        raise Inconclusive(f"backup {backup.id} is encrypted by {used and used.method}, this program knows {METHOD}")
    cipher = Cipher(choose_key(keys, used.key_id, backup.id), bytes.fromhex(used.salt), backup.id)
    if not is_sealed((backup.path / MANIFEST).read_text(encoding="utf-8"), cipher.seal):
        raise BackupError(
            f"the manifest of backup {backup.id} was not written with key {cipher.key.id}",
            hint="Somebody changed it who does not have the key. Use another backup, and find out who.",
        )
    return cipher


def _decrypted(backup: Backup, cipher: Cipher, target: Path, jobs: int) -> Backup:
    files = backup.manifest.files
    try:
        require_room(target.parent, (size for size, _ in files.values()))
        target.mkdir(mode=_PRIVATE)
        plain = decrypt_files(backup.path, iter(files), cipher, target, jobs=jobs)
    except OSError as error:
        raise Inconclusive(
            f"backup {backup.id} cannot be decrypted here: {error.strerror}", hint="Make room below WEDSYNC_HOME."
        ) from None
    return Backup(target, replace(backup.manifest, files=plain, encryption=None))
