"""Processes of this machine, by what stands in their arguments."""

import os
from pathlib import Path


def started_with(text: str | Path) -> list[bytes]:
    """The arguments of every living process that name this."""
    return [words for file in Path("/proc").glob("[0-9]*/cmdline") if os.fsencode(text) in (words := _read(file))]


def children(text: str, of: int | None = None) -> list[int]:
    """The numbers of a process' own children that name this in their arguments; of this process' by default."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        fields = _read(file).rpartition(b")")[2].split()
        if fields and int(fields[1]) == (of or os.getpid()) and os.fsencode(text) in _read(file.with_name("cmdline")):
            found.append(int(file.parent.name))
    return found


def with_environ(*settings: str) -> dict[int, bytes]:
    """The arguments of every process that was started with all of these variables, as `NAME=value`, by its number."""
    wanted = {os.fsencode(one) for one in settings}
    return {
        int(folder.name): _read(folder / "cmdline")
        for folder in Path("/proc").glob("[0-9]*")
        if wanted <= {*_read(folder / "environ").split(b"\0")}
    }


def programs(folder: str | Path) -> list[bytes]:
    """The pg_dump and its workers that write to this folder; not the leash that holds them."""
    return [words for words in started_with(folder) if b"pg_dump" in words and b"leash" not in words]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""  # it has ended
