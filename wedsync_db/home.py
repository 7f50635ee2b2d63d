"""The state folder: servers, backups, reports, run history and scratch space of one installation.

Standard library only: the front door asks it before there is anything else.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wedsync_db.errors import Refused, UsageError
from wedsync_db.postgres.account import can_enter, server_account

# where root keeps what an unprivileged server must reach, when the checkout is out of that server's reach
SHARED = Path("/var/lib/wedsync-db")
DEFAULT_NAME = ".wedsync"
_PRIVATE = 0o700
_TRAVERSABLE = 0o710  # root's, with the group of the account that servers run under
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Home:
    """A state folder. Looking at it creates nothing; `ensure` does."""

    path: Path

    @property
    def pg(self) -> Path:
        """The embedded servers, a folder for each major version."""
        return self.path / "pg"

    @property
    def reports(self) -> Path:
        """Reports that people open."""
        return self.path / "reports"

    @property
    def prefect(self) -> Path:
        """PREFECT_HOME: profiles and run history."""
        return self.path / "prefect"

    @property
    def scratch(self) -> Path:
        """Servers that live for one rehearsal or drill."""
        return self.path / "scratch"

    def backups(self, environment: str) -> Path:
        """The backups of one environment."""
        return self.path / "backups" / environment

    def ensure(self) -> Home:
        """Create what is missing, private to us; servers' folders open to their account only.

        Everything inside is ours and is closed again where it was made too open. The folder itself only if its name is
        one of our own: $WEDSYNC_HOME may name any folder by mistake.

        Raises:
            Refused: the folder is not ours, others can write to it, or the server's account cannot enter it.
        """
        account = server_account(self.path)
        group = account.pw_gid if account else None
        passable = _PRIVATE if group is None else _TRAVERSABLE
        _make(self.path, passable, group, adjust=self.path.name == DEFAULT_NAME or self.path.parent == SHARED)
        for path in (self.pg, self.scratch):
            _make(path, passable, group)
        for path in (self.reports, self.prefect, self.path / "backups"):
            _make(path, _PRIVATE, None)
        if account and not can_enter(self.pg, account):
            raise Refused(
                f"{self.path} is out of reach for {account.pw_name}, the account that servers run under",
                hint="Set WEDSYNC_HOME to a folder it can reach, or unset it.",
            )
        return self


def state_home(checkout: Path, environ: Mapping[str, str]) -> Home:
    """$WEDSYNC_HOME, or `.wedsync` in the checkout, or for root a folder below /var/lib where a server can reach that.

    The choice depends on the checkout's path and its parents' modes only, so every process finds the same one.

    Raises:
        UsageError: $WEDSYNC_HOME is not an absolute path.
    """
    named = environ.get("WEDSYNC_HOME")
    if named:
        path = Path(named).expanduser()
        if not path.is_absolute():
            raise UsageError(f"WEDSYNC_HOME is not an absolute path: {named}")
        return Home(path)
    checkout = checkout.resolve()
    if can_enter(checkout, server_account()):
        return Home(checkout / DEFAULT_NAME)
    return Home(SHARED / hashlib.sha256(os.fsencode(checkout)).hexdigest()[:16])


def _make(path: Path, mode: int, group: int | None, *, adjust: bool = True) -> None:
    """Create a folder, or see to it that the one there is ours alone; `adjust` gives that one the mode and group too.

    Raises:
        Refused: it cannot be created, or what is there is not ours alone.
    """
    try:
        if not path.exists():
            _create(path, mode, group)
        check_private(path, os.geteuid(), forbidden=_WRITABLE_BY_OTHERS)
        if adjust:
            _set(path, mode, group)
    except OSError as error:
        raise Refused(
            f"the state folder {path} cannot be used: {error.strerror}", hint="Set WEDSYNC_HOME to a folder of yours."
        ) from None


def _create(path: Path, mode: int, group: int | None) -> None:
    """Create a folder complete with mode and group under a temporary name, so that nobody sees it half open."""
    make_passage(path.parent)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    _set(fresh, mode, group)
    try:
        fresh.rename(path)
    except OSError:
        fresh.rmdir()
        if not path.exists():  # otherwise another process was first
            raise


def _set(path: Path, mode: int, group: int | None) -> None:
    status = path.stat()
    if group is not None and status.st_gid != group:
        os.chown(path, -1, group)
    if stat.S_IMODE(status.st_mode) != mode:
        path.chmod(mode)


def make_passage(path: Path) -> None:
    """Create a folder that others may pass through and not list, whatever the umask; one that exists stays as it is."""
    if path.exists():
        return
    make_passage(path.parent)
    with suppress(FileExistsError):
        path.mkdir()
        path.chmod(0o711)


def check_private(path: Path, uid: int, *, forbidden: int) -> None:
    """Make sure that a folder is a real one (no link), belongs to `uid`, and has none of the mode bits of `forbidden`.

    Raises:
        Refused: it is not so.
        OSError: it cannot be looked at.
    """
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise Refused(f"{path} is not a folder", hint="Move it away, or set WEDSYNC_HOME to another folder.")
    if status.st_uid != uid:
        raise Refused(
            f"{path} belongs to uid {status.st_uid}, not to uid {uid}",
            hint="Work as the user who made it, or set WEDSYNC_HOME to a folder of your own.",
        )
    if status.st_mode & forbidden:
        raise Refused(
            f"others have access to {path}", hint=f"chmod go-w {path}, or set WEDSYNC_HOME to another folder."
        )
