"""The sections of docs/runbooks/health.md, so that a page that is read on a telephone has with it what to do."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

FILE = "docs/runbooks/health.md"
_SECTION = re.compile(r"^## ([a-z-]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def sections(text: str, wanted: Collection[str]) -> dict[str, str]:
    """The sections of these names, in the file's order; one that is not there is left out."""
    return {name: " ".join(body.split()) for name, body in _SECTION.findall(text) if name in wanted}


def runbook_text(checkout: Path) -> str:
    """The page as it is in the checkout; empty where it cannot be read."""
    try:
        return (checkout / FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
