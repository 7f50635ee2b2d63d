"""Texts that are compared with a file; `UPDATE_GOLDEN=1` writes what is said now."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden"


def assert_golden(name: str, text: str) -> None:
    """The text is what the file holds, but for a line end at its end."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text.rstrip()}\n", encoding="utf-8")
    assert f"{text.rstrip()}\n" == path.read_text(encoding="utf-8")
