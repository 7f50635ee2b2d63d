"""Readers for the values of a settings file: each takes what TOML gave and returns what the program uses.

A reader raises ValueError with what is wrong in words that follow the key's name. It shows the value only where that
helps and the value looks like a plain word: somebody may have put a secret into the wrong place.
"""

from __future__ import annotations

import difflib
import math
import re
import zoneinfo
from collections.abc import Callable, Iterable
from pathlib import Path

Reader = Callable[[object], object]

_PLAIN_WORD = re.compile(r"[\w/+.-]{1,40}")
_BLOCK_NAME = re.compile(r"[a-z0-9-]{1,100}/[a-z0-9-]{1,100}")  # as Prefect allows them
_VARIABLE_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_TOML_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}
_NAME_BYTES = 63  # NAMEDATALEN - 1 of every PostgreSQL we support


def text(value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise _expected("text", value)
    return value


def flag(value: object) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise _expected("true or false", value)
    return value


def whole(least: int, most: int) -> Reader:
    """Accept a whole number between two bounds, both included."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _expected("a whole number", value)
        if not least <= value <= most:
            raise ValueError(f"must be between {least} and {most}, not {value}")
        return value

    return read


def number(*, zero: bool = False) -> Reader:
    """Accept a finite number above zero; zero itself only where it makes sense."""

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _expected("a number", value)
        if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
            raise ValueError(f"must be {'zero or more' if zero else 'above zero'}, not {value}")
        return float(value)

    return read


def one_of(*words: str | int) -> Reader:
    """Accept one of these words or numbers."""

    def read(value: object) -> str | int:
        for word in words:
            if type(value) is type(word) and value == word:
                return word
        shown = shown_word(value)
        raise ValueError(f"must be {' or '.join(map(repr, words))}" + (f", not {shown!r}" if shown else ""))

    return read


def zone(value: object) -> str:
    """Accept the IANA name of a time zone, `Europe/London`."""
    name = text(value)
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        shown = shown_word(name)
        said = f"names no time zone: {shown!r}" if shown else "names no time zone"
        raise ValueError(said + suggestion(name, zoneinfo.available_timezones())) from None
    return name


def variable_name(value: object) -> str:
    """Accept the name of an environment variable. What looks like a URL or a password is refused and never shown."""
    name = text(value)
    if not _VARIABLE_NAME.fullmatch(name):
        raise ValueError(
            "must be the name of a variable in capitals, never its value: no URL and no secret belongs here"
        )
    return name


def database_name(value: object) -> str:
    """Accept the name of a database or role, as it is (not quoted), at most 63 bytes."""
    name = text(value)
    if not name or "\0" in name or len(name.encode()) > _NAME_BYTES:
        raise ValueError(f"must be a name of 1 to {_NAME_BYTES} bytes")
    return name


def block_name(value: object) -> str:
    """Accept type and name of a Prefect block, `slack-webhook/on-call`. What looks like a URL is refused, not shown."""
    name = text(value)
    if not _BLOCK_NAME.fullmatch(name):
        raise ValueError("must be the type and the name of a Prefect block, slack-webhook/on-call: never a URL")
    return name


def listed(read: Reader) -> Reader:
    """Accept a list of such values, none of them twice; it may be empty."""

    def read_list(value: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise _expected("a list", value)
        values = tuple(map(read, value))
        if len(set(values)) < len(values):
            raise ValueError("names something twice")
        return values

    return read_list


def path_below(folder: Path) -> Reader:
    """Accept a path, relative to a folder."""

    def read(value: object) -> Path:
        if not text(value):
            raise ValueError("must be a path, not empty")
        return (folder / text(value)).resolve()

    return read


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def shown_word(value: object) -> str | int | None:
    """Return a value that is safe to show in an error: a number or a short plain word; None for everything else."""
    if isinstance(value, int):
        return value
    return value if isinstance(value, str) and _PLAIN_WORD.fullmatch(value) else None


def _expected(what: str, value: object) -> ValueError:
    return ValueError(f"must be {what}, not {_TOML_TYPES.get(type(value), 'a date or time')}")
