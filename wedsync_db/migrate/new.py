"""The next migration's folder, with its scripts to be filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from wedsync_db.errors import UsageError
from wedsync_db.migrate.header import ID

_NUMBERED = re.compile(r"([0-9]{4})_")
_HIGHEST = 9999

_REVERT = """\
-- Undoes deploy.sql, last statement first. What it cannot bring back, deploy.sql names in its header: -- loses: …
"""
_VERIFY = """\
-- Every statement here is run before the COMMIT. One that raises fails, and so does a SELECT whose first row's first
-- column is false or NULL, or that returns no row:
--   select pg_catalog.to_regclass('app.example') is not null;
"""


def new_migration(folder: Path, name: str, *, requires: Iterable[str] = ()) -> Path:
    """Make the folder of the next migration, `NNNN_name`, with deploy.sql, revert.sql and verify.sql; return its path.

    Its number is one above the highest there. The scripts hold no statement yet: a plan refuses it until they do.

    Raises:
        UsageError: the name is not lower-case letters, digits and underscores, a migration of that name is there, one
            required is not, or the folder cannot be written.
    """
    path = folder / f"{_next(folder):04}_{name}"
    if not ID.fullmatch(path.name):
        raise UsageError(
            f"{name!r} is no migration's name",
            hint="lower-case letters, digits and underscores, beginning with a letter: add_guest_notes",
        )
    needed = tuple(requires)
    _check(folder, name, needed)
    try:
        path.mkdir(parents=True)
        for file, text in _texts(needed).items():
            (path / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}", hint="look at the folder's permissions") from None
    return path


def _next(folder: Path) -> int:
    number = max((int(m[1]) for name in _names(folder) if (m := _NUMBERED.match(name))), default=0) + 1
    if number > _HIGHEST:
        raise UsageError("there is no number left above 9999", hint="begin a new folder with a baseline migration")
    return number


def _names(folder: Path) -> list[str]:
    try:
        return [p.name for p in folder.iterdir()] if folder.exists() else []
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be read: {error.strerror}", hint="name the folder of the migrations"
        ) from None


def _check(folder: Path, name: str, requires: tuple[str, ...]) -> None:
    names = _names(folder)
    if same := [n for n in names if n[5:] == name and ID.fullmatch(n)]:
        raise UsageError(f"{same[0]} is there already", hint="choose another name")
    if absent := [r for r in requires if r not in names]:
        raise UsageError(
            f"{absent[0]} is required but not in {folder}", hint="requires takes folder names: 0001_tenancy"
        )


def _texts(requires: tuple[str, ...]) -> dict[str, str]:
    header = f"-- requires: {', '.join(requires)}\n\n" if requires else ""
    return {"deploy.sql": header, "revert.sql": _REVERT, "verify.sql": _VERIFY}
