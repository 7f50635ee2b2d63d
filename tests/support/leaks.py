"""Where a planted secret or row value turned up that must be nowhere."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

_INTERVAL_SECONDS = 0.1


@contextmanager
def watched_arguments() -> Iterator[set[str]]:
    """Collect the command line of every process of this machine that lives while the block lasts."""
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_INTERVAL_SECONDS):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):  # it has ended
                    seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def in_files(folder: Path, words: Mapping[str, str]) -> set[str]:
    """`word in file` for each word that a file below the folder holds; a word is given by name and as it is spelt."""
    found = set()
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if file.is_file():
                content = file.read_bytes()
                found |= {f"{name} in {file.relative_to(folder)}" for name, w in words.items() if w.encode() in content}
    return found


def in_database(file: Path, words: Mapping[str, str]) -> set[str]:
    """The same for the rows of an SQLite database: in its file a long one is cut to pieces."""
    found = set()
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f'select * from "{table}"'):
                text = " ".join(map(_text, row))
                found |= {f"{name} in table {table}" for name, word in words.items() if word in text}
    return found


def in_texts(texts: Mapping[str, str], words: Mapping[str, str]) -> set[str]:
    """The same for texts with names of their own."""
    return {f"{name} in {where}" for where, text in texts.items() for name, word in words.items() if word in text}


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
