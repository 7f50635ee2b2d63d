"""The account a server runs under: PostgreSQL refuses to run as root, so root hands its servers to another account."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

from wedsync_db.errors import WedsyncError

Account = pwd.struct_passwd
_CANDIDATES = ("postgres", "nobody")


def own_name() -> str:
    """The name of the account this process runs as, which peer authentication goes by.

    Raises:
        WedsyncError: the uid has no account, as in some containers.
    """
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    raise WedsyncError(
        f"uid {os.geteuid()} has no account here, and PostgreSQL needs one", hint="Add a line for it to /etc/passwd."
    )


def server_account(within: Path | None = None) -> Account | None:
    """The account servers run under when we are root: postgres where it exists, else nobody. None when we are not root.

    A folder that was opened to one of the two by its group keeps that one, so that a state folder made before the
    account postgres was added stays usable.

    Raises:
        WedsyncError: we are root and there is neither.
    """
    if os.geteuid() != 0:
        return None
    found: list[Account] = []
    for name in _CANDIDATES:
        with suppress(KeyError):
            found.append(pwd.getpwnam(name))
    if not found:
        raise WedsyncError("PostgreSQL cannot run as root, and there is no account 'postgres' or 'nobody'")
    group = within.stat().st_gid if within and within.exists() else None
    return next((account for account in found if account.pw_gid == group), found[0])


def owner(path: Path) -> Account | None:
    """The account that owns `path`, for root to act as. None when we are not root.

    Raises:
        WedsyncError: the owner has no account any more.
    """
    if os.geteuid() != 0:
        return None
    uid = path.lstat().st_uid
    with suppress(KeyError):
        return pwd.getpwuid(uid)
    raise WedsyncError(f"{path} belongs to uid {uid}, which has no account any more")


def can_enter(folder: Path, account: Account | None) -> bool:
    """Whether `account` (None: ourselves) may traverse `folder` and everything above it.

    Mode bits only: an access list that opens more is not seen, which errs to the safe side. What does not exist yet
    does not count.
    """
    if account is None:
        return True
    resolved = folder.resolve()
    existing = [step for step in (resolved, *resolved.parents) if step.exists()]
    return all(_allows(step.stat(), account, "x") for step in existing)


def can_read(file: Path, account: Account | None) -> bool:
    """Whether `account` may open `file`, by the mode bits of it and of all folders above."""
    if account is None:
        return True
    return can_enter(file.parent, account) and _allows(file.resolve().stat(), account, "r")


def _allows(status: os.stat_result, account: Account, access: str) -> bool:
    """Servers run with their primary group only, so the supplementary ones do not count."""
    user, group, other = {
        "x": (stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH),
        "r": (stat.S_IRUSR, stat.S_IRGRP, stat.S_IROTH),
    }[access]
    if status.st_uid == account.pw_uid:
        return bool(status.st_mode & user)
    if status.st_gid == account.pw_gid:
        return bool(status.st_mode & group)
    return bool(status.st_mode & other)
