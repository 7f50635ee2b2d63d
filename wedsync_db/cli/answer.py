"""What a verb answers: text for people (none where all was told already), the same as JSON for programs, and an exit code."""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

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
    """Print an answer and return its exit code."""
    text = json.dumps(plain(answer.data), indent=2) if as_json else answer.text
    if text:
        print(redact(text))  # noqa: T201 the command line prints
    return answer.exit_code


def show_error(error: WedsyncError, *, as_json: bool) -> int:
    """Print an error (text to stderr, JSON to stdout) and return its exit code."""
    if as_json:
        print(json.dumps(error_json(error), indent=2))  # noqa: T201
    else:
        print(error_text(error), file=sys.stderr)  # noqa: T201
    return error.exit_code


def plain(value: Any) -> Any:
    """A value as json.dumps takes it: dataclasses become objects, times ISO 8601, paths text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value
