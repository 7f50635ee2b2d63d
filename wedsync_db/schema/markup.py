"""Names, links and code in the documentation's Markdown."""

from __future__ import annotations

import re


def short(name: str) -> str:
    """A relation's name, without the schema where that is public."""
    return name.removeprefix("public.")


def short_type(text: str) -> str:
    """Types as everybody writes them."""
    return text.replace("timestamp with time zone", "timestamptz")


def link(name: str) -> str:
    """A link to a table's heading."""
    return f"[{short(name)}](#{anchor(short(name))})"


def anchor(heading: str) -> str:
    """What Markdown's renderers make of a heading to link to."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def code(text: str) -> str:
    """Text as code, in a table's cell too."""
    return "`" + text.replace("|", "\\|") + "`"


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") or not text else ".")
