"""Tables of our TOML files, read with an error that names file, key and what is wrong with it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from wedsync_db import setting_values as values
from wedsync_db.errors import UsageError


def read_document(path: Path) -> Mapping[str, Any]:
    """The whole file.

    Raises:
        UsageError: it is not there, cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no {path.name}", hint=f"It is looked for in {path.parent.resolve()}") from None
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{path.name} is not valid TOML: {error}", hint="Texts need quotes, tables stand in [ ]"
        ) from None


def read_table(raw: object, readers: Mapping[str, values.Reader], where: str) -> dict[str, Any]:
    """A table's values, each as its reader has it; a key without a reader is an error, a missing one is left out.

    Raises:
        UsageError: the key, and what is wrong with it.
    """
    table = table_of(raw, where)
    known_keys(table, readers.keys(), where)
    return {key: _value(readers[key], value, f"{where}.{key}") for key, value in table.items()}


def _value(reader: values.Reader, value: object, where: str) -> object:
    try:
        return reader(value)
    except ValueError as error:
        raise UsageError(f"{where} {error}") from None


def table_of(raw: object, where: str) -> Mapping[str, object]:
    """What is given, which must be a table.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(raw, dict):
        raise UsageError(f"{where} must be a table", hint=f"[{where.partition(': ')[2]}]")
    return cast("dict[str, object]", raw)


def known_keys(table: Mapping[str, object], known: Iterable[str], where: str) -> None:
    """Make sure that nothing but these keys is there.

    Raises:
        UsageError: something is; the nearest known key is named.
    """
    names = frozenset(known)
    for key in table:
        if key not in names:
            shown = values.shown_word(key) or "…"
            raise UsageError(
                f"{where}: unknown key {shown!r}{values.suggestion(key, names)}",
                hint=f"Known are: {', '.join(sorted(names))}",
            )
