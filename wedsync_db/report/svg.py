"""An SVG file of matplotlib's as a part of a page: its colours variables of the page, its names its own."""

from __future__ import annotations

import re

from markupsafe import escape

COLOURS = ("ink", "soft", "line", "gap", "good", "warn", "bad", "c1", "c2", "c3", "c4", "c5", "c6", "c7")
_NUMBERS = re.compile(r"(\d+\.\d)\d+")
_TAG = re.compile(r"<[^>]*>")
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(url\(#|xlink:href="#|href="#)([^)"]+)')


def placeholder(name: str) -> str:
    """The colour that stands for a variable until the picture is drawn: none that anybody would choose."""
    return f"#0a00{COLOURS.index(name) + 16:02x}"


def refined(text: str, name: str, title: str, description: str) -> str:
    """The element alone, with a title and a description; every name in it begins with `name`, as a page has many."""
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*</defs>", "", body)
    inside = body[body.index(">") + 1 : body.rindex("</svg>")]
    inside = _coloured(_named(inside, name))
    inside = _TAG.sub(lambda tag: _NUMBERS.sub(r"\1", tag[0]), inside)  # 99.97 % in a text stays as it is
    box = re.search(r'viewBox="([^"]*)"', body)
    head = (
        f'<svg class="{name.rpartition("-")[2]}" viewBox="{box[1] if box else "0 0 1000 270"}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>'
    )
    return head + re.sub(r">\s+<", "><", inside).strip() + "</svg>"


def _named(text: str, name: str) -> str:
    """Names that something refers to get a prefix, others go."""
    used = {found[1] for found in _REFERENCE.findall(text)}
    text = _ID.sub(lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    text = _REFERENCE.sub(lambda found: f"{found[1]}{name}-{found[2]}", text)
    return text.replace("xlink:href", "href")


def _coloured(text: str) -> str:
    for name in COLOURS:
        text = text.replace(placeholder(name), f"var(--{name})")
    return text
