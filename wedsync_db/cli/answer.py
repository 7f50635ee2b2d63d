"""What a verb answers: text for people (none where all was told already), JSON for programs, and an exit code."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from wedsync_db.cli.terminal import say
from wedsync_db.errors import WedsyncError
from wedsync_db.redact import redact
from wedsync_db.report.errors import error_json, error_text


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` is a tree of dataclasses, mappings, sequences and plain values; it is what --json prints."""

    text: str
    data: Any
    exit_code: int = 0


def show(answer: Answer, *, as_json: bool) -> int:
    """Print an answer and return its exit code.

    Raises:
        WedsyncError: it cannot be written, because the disk is full for instance.
    """
    _print(json.dumps(plain(answer.data), indent=2) if as_json else redact(answer.text))
    return answer.exit_code


def show_error(error: WedsyncError, *, as_json: bool) -> int:
    """Print an error (text to stderr, JSON to stdout) and return its exit code."""
    try:
        if as_json:
            _print(json.dumps(error_json(error), indent=2))
            return error.exit_code
    except WedsyncError:
        pass  # stdout takes nothing: a person may still read it
    say(error_text(error))
    return error.exit_code


def plain(value: Any) -> Any:
    """A value as json.dumps takes it, without secrets: dataclasses become objects, times ISO 8601, paths text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}
    if isinstance(value, Mapping):
        return {redact(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    # before the text becomes JSON: a mask over the finished document may take a quote or a comma along
    return redact(str(value)) if isinstance(value, str | Path) else value


def _print(text: str) -> None:
    if not text:
        return
    try:
        print(text, flush=True)  # noqa: T201 the command line prints
    except BrokenPipeError:
        pass  # `… | head -1`: the reader has seen what it wanted
    except OSError as error:
        raise WedsyncError(
            f"it is done, but the answer cannot be written: {error.strerror}",
            hint="Give the output another place, and see `status`.",
        ) from None
