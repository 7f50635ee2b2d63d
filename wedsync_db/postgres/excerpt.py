"""Where in a text something stands, and that line with a caret under it, fit for a terminal."""

from __future__ import annotations

import unicodedata

WIDTH = 110  # columns of an excerpt; of a longer line, the part around the caret is shown


def position(text: str, offset: int) -> tuple[int, int]:
    """The line and column of a character offset, both from 1."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, start) + 1, offset - start + 1


def excerpt(text: str, offset: int) -> str:
    """The line at a character offset with a caret under that character.

    Control characters are shown as blanks, so that a file cannot drive the terminal of whoever reads about it.
    """
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    first = max(start, offset - WIDTH // 2)
    last = min(end, first + WIDTH)
    head, tail = ("… " if first > start else ""), (" …" if last < end else "")
    before = head + _printable(text[first:offset])
    return f"{before}{_printable(text[offset:last])}{tail}\n{' ' * _columns(before)}^"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text.rstrip("\r"))


def _columns(text: str) -> int:
    return sum(_width(c) for c in text)


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
