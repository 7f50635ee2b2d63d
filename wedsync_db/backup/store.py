"""The folder of an environment's backups: each a folder of its own that appears complete or not at all.

    20260607T143000Z-4f2a/
        data/             what pg_dump -Fd wrote
        globals.json      roles, memberships, settings and the database's own properties
        roles.sql         the same for psql, for a recovery without this program
        fingerprint.json  the catalog, object by object
        manifest.json     written last; every other file with its size and SHA-256
        verified.json     how reading all of it back ended the last time, and
        drilled.json      how restoring and comparing it did: see proven.py

Encrypted, every file but the last three is called `….enc`. A backup in the making is called `.partial-…` and held by a
lock on the folder itself, also by the program that writes into it. Where nobody holds it, its run was killed, and the
next run removes it, as it removes `.gone-…`, a backup whose deletion was not finished. Who reads a backup shares the
lock on its folder, so that it is not deleted meanwhile.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from wedsync_db.backup.manifest import dump_manifest, load_manifest
from wedsync_db.errors import BackupError
from wedsync_db.filelock import exclusive, share, try_alone
from wedsync_db.model import Backup, Manifest

MANIFEST = "manifest.json"
DATA = "data"
GLOBALS = "globals.json"
ROLES = "roles.sql"
FINGERPRINT = "fingerprint.json"
VERIFIED = "verified.json"
DRILLED = "drilled.json"

_BESIDE = frozenset({MANIFEST, VERIFIED, DRILLED})  # what the manifest does not list
_PARTIAL = ".partial-"
_GONE = ".gone-"
_NOTE = ".note-"
_CHUNK_BYTES = 1 << 20
_log = logging.getLogger(__name__)


@contextmanager
def staging(folder: Path, backup_id: str) -> Iterator[tuple[Path, int]]:
    """A private, locked folder for a backup in the making and the descriptor that locks it; gone if the block fails.

    Debris of runs that were killed is removed first.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = folder / f"{_PARTIAL}{backup_id}"
    with exclusive(folder / ".lock"):  # a new folder is never seen unlocked
        _remove_debris(folder)
        partial.mkdir(mode=0o700)
        descriptor = _open_folder(partial)
        try_alone(descriptor)
    try:
        yield partial, descriptor
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # a published one bears another name by now
        os.close(descriptor)


def publish(partial: Path, manifest: Manifest, seal: Callable[[str], str] | None = None) -> Backup:
    """Write the manifest, make the folders durable as the files are already, and give the backup its name.

    Raises:
        OSError: no room, or a backup of that name exists.
    """
    write_file(partial / MANIFEST, dump_manifest(manifest, seal))
    for path in (partial / DATA, partial):
        _sync(path)
    final = partial.parent / manifest.id
    partial.rename(final)
    _sync(final.parent)
    return Backup(final, manifest)


def write_file(path: Path, text: str) -> None:
    """Write a small file, 0600, durable."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_beside(backup: Backup, name: str, text: str) -> None:
    """Put a note into a finished backup's folder, in the place of an older one: durable, and never half of it.

    Raises:
        BackupError: it cannot be written.
    """
    folder = backup.path.parent
    try:
        with exclusive(folder / ".lock"):
            note = folder / f"{_NOTE}{backup.id}-{name}"
            note.unlink(missing_ok=True)
            write_file(note, text)
            note.rename(backup.path / name)
            _sync(backup.path)
    except OSError as error:
        raise BackupError(f"{name} of backup {backup.id} could not be written: {error.strerror}") from None


def in_making(folder: Path) -> frozenset[str]:
    """The names of the backups that somebody is making now."""
    found = set()
    for path in folder.glob(f"{_PARTIAL}*"):
        with suppress(FileNotFoundError):
            descriptor = _open_folder(path)
            if not try_alone(descriptor):
                found.add(path.name.removeprefix(_PARTIAL))
            os.close(descriptor)
    return frozenset(found)


@contextmanager
def in_use(backup: Backup) -> Iterator[None]:
    """Keep a backup from being deleted for this block.

    Raises:
        BackupError: it is not there any more.
    """
    try:
        descriptor = _open_folder(backup.path)
    except OSError as error:
        raise BackupError(f"backup {backup.id} cannot be read: {error.strerror}") from None
    try:
        share(descriptor)
        yield
    finally:
        os.close(descriptor)


def remove(backup: Backup) -> bool:
    """Delete a backup, unless somebody reads it; says whether. It is none any more before its first file goes.

    Raises:
        OSError: it cannot be renamed. What cannot be deleted afterwards the next run tries again.
    """
    gone = backup.path.with_name(f"{_GONE}{backup.id}")
    descriptor = _open_folder(backup.path)
    try:
        with exclusive(backup.path.parent / ".lock"):
            if not try_alone(descriptor):
                return False
            backup.path.rename(gone)
            _sync(gone.parent)
            shutil.rmtree(gone, ignore_errors=True)
            return True
    finally:
        os.close(descriptor)


def digest_files(folder: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of every file below the folder, by relative path; each is made durable on the way."""
    found = {}
    for name, path in sorted(_files(folder).items()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        found[name] = (path.stat().st_size, _sha256(path))
    return found


def read_backup(path: Path) -> Backup:
    """The backup in a folder. Its files are not looked at: `check_files` does that.

    Raises:
        BackupError: there is no manifest, or it is damaged.
    """
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise BackupError(f"{path.name} is not a backup: {MANIFEST}: {reason}") from None
    try:
        return Backup(path, load_manifest(text))
    except BackupError as error:
        raise BackupError(f"{path.name} is not usable: {error.message}", hint=error.hint) from None


def list_backups(folder: Path, *, say: Callable[[str], None] = _log.warning) -> tuple[Backup, ...]:
    """The finished backups, oldest first; what is not one, or is damaged, is said and left out."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith("."):
            continue
        try:
            found.append(read_backup(path))
        except BackupError as error:
            say(error.message)
    return tuple(sorted(found, key=lambda one: (one.manifest.created_at, one.id)))


def check_files(backup: Backup, check: Callable[[], None] = lambda: None) -> None:
    """Compare every file with the manifest: nothing missing, nothing more, every size and SHA-256.

    pg_restore notices none of these by itself: it restores a table file cut to zero bytes as an empty table. `check` is
    called for every piece that is read; what it raises ends the reading.

    Raises:
        BackupError: naming the first file that is not as it was.
    """
    try:
        there = _files(backup.path)
        there = {name: path for name, path in there.items() if name not in _BESIDE}
        problem = _first_problem(backup.manifest.files, there, check)
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    if problem:
        raise BackupError(
            f"backup {backup.id} is damaged: {problem}", hint="Use another backup; nothing of this one was restored."
        )


def _first_problem(
    expected: Mapping[str, tuple[int, str]], there: Mapping[str, Path], check: Callable[[], None]
) -> str:
    for name in sorted(expected.keys() | there.keys()):
        if name not in there:
            return f"{name} is missing"
        if name not in expected:
            return f"{name} does not belong to it"
        if there[name].is_symlink() or not there[name].is_file():
            return f"{name} is no ordinary file"
        size = there[name].stat().st_size
        if size != expected[name][0]:
            return f"{name} has {size} bytes instead of {expected[name][0]}"
    # cheap questions of all files first, then their content
    for name, (_, sha256) in sorted(expected.items()):
        if _sha256(there[name], check) != sha256:
            return f"{name} has other content than when it was written"
    return ""


def _files(folder: Path) -> dict[str, Path]:
    """Everything below that is not a folder, by relative path.

    Raises:
        OSError: a folder cannot be read.
    """
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}


def _sha256(path: Path, check: Callable[[], None] = lambda: None) -> str:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        sha = hashlib.sha256()
        while chunk := file.read(_CHUNK_BYTES):
            sha.update(chunk)
            check()
    return sha.hexdigest()


def _remove_debris(folder: Path) -> None:
    for path in folder.glob(f"{_NOTE}*"):
        path.unlink()
    for path in [*folder.glob(f"{_PARTIAL}*"), *folder.glob(f"{_GONE}*")]:
        descriptor = _open_folder(path)
        try:
            if try_alone(descriptor):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


def _open_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _sync(path: Path) -> None:
    descriptor = _open_folder(path)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
