"""Definitions as PostgreSQL prints them after a dump and a restore, so that a restored copy compares equal.

The server prints an expression from its tree, and reading that print again gives a slightly different tree: of two ANDs
(or ORs) that lean to the left, as BETWEEN and row comparisons leave them, one level goes; and a cast of an array
constructor moves into its elements, as for IN over a varchar. After that nothing moves any more. Source: makeAndExpr in
PostgreSQL's gram.y and transformArrayExpr in parse_expr.c, and a restore on every major in the tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

_UNSETTLED = re.compile(r"\)\) (?:AND|OR) |\]\)::")
_CLOSING = {"(": ")", "[": "]"}
_BRACKET = re.compile(r"""['"()\[\]]""")
_CAST = re.compile(r"::[a-z][a-z0-9_ .]*")


class _Quoted(str):
    """A literal or a quoted name: nothing in it counts."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Group:
    opening: str
    parts: tuple[_Part, ...]


_Part: TypeAlias = str | _Group


def settled_object(definition: str) -> str:
    """An object of the fingerprint (JSON) with every expression in it settled."""
    if not _UNSETTLED.search(definition):
        return definition
    # the keys keep the order the server gave them
    return json.dumps(_settled_value(json.loads(definition)), ensure_ascii=False)


def _settled_value(value: object) -> object:
    if isinstance(value, dict):
        return {key: _settled_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_settled_value(item) for item in value]
    return settled(value) if isinstance(value, str) and _UNSETTLED.search(value) else value


@lru_cache(maxsize=4096)
def settled(expression: str) -> str:
    """An expression or a definition as a restore would print it; as it is, where its brackets do not match."""
    parts, end = _read(expression, 0, "")
    return _text(_settle(parts)) if end == len(expression) else expression


def _read(text: str, at: int, closing: str) -> tuple[tuple[_Part, ...], int]:
    """The parts up to the closing bracket, and where it is; nothing closes the outermost level but the end."""
    parts: list[_Part] = []
    while at < len(text) and text[at] not in ")]":
        if text[at] in _CLOSING:
            inner, end = _read(text, at + 1, _CLOSING[text[at]])
            parts.append(_Group(text[at], inner))
            at = end + 1
        elif text[at] in "'\"":
            end = _after_quoted(text, at)
            parts.append(_Quoted(text[at:end]))
            at = end
        else:
            end = next((m.start() for m in _BRACKET.finditer(text, at)), len(text))
            parts.append(text[at:end])
            at = end
    if at < len(text) and text[at] != closing:
        return tuple(parts), -1 - len(text)  # does not match: no end is reached any more
    return tuple(parts), at


def _after_quoted(text: str, at: int) -> int:
    """Behind a literal or a quoted name; a doubled quote is one of its characters."""
    end = text.find(text[at], at + 1)
    while end != -1 and text[end + 1 : end + 2] == text[at]:
        end = text.find(text[at], end + 2)
    return len(text) if end == -1 else end + 1


def _settle(parts: tuple[_Part, ...]) -> tuple[_Part, ...]:
    inner = tuple(_Group(p.opening, _settle(p.parts)) if isinstance(p, _Group) else p for p in parts)
    return _flat(tuple(_casts_inside(inner)))


def _flat(parts: tuple[_Part, ...]) -> tuple[_Part, ...]:
    """`((a AND b) AND c)` as `(a AND b AND c)`, at the left end alone: that is where the parser looks."""
    while len(parts) > 1 and isinstance(first := parts[0], _Group) and first.opening == "(":
        operator = next((op for op in (" AND ", " OR ") if _is_text(parts[1]) and str(parts[1]).startswith(op)), None)
        if operator is None or not any(_is_text(p) and operator in str(p) for p in first.parts):
            break
        parts = (*first.parts, *parts[1:])
    return parts


def _casts_inside(parts: tuple[_Part, ...]) -> Iterator[_Part]:
    """`(ARRAY[a, b])::t[]` as `ARRAY[(a)::t, (b)::t]`."""
    at = 0
    while at < len(parts):
        elements, cast = _array(parts[at]), parts[at + 1 : at + 3]
        if elements is not None and cast[1:] == (_Group("[", ()),) and _CAST.fullmatch(str(cast[0])):
            yield "ARRAY"
            yield _Group("[", tuple(_cast_each(elements, str(cast[0]))))
            at += 3
        else:
            yield parts[at]
            at += 1


def _array(part: _Part) -> tuple[_Part, ...] | None:
    """The inside of `(ARRAY[…])`."""
    if isinstance(part, _Group) and part.opening == "(" and len(part.parts) == 2 and part.parts[0] == "ARRAY":  # noqa: PLR2004
        inner = part.parts[1]
        return inner.parts if isinstance(inner, _Group) and inner.opening == "[" else None
    return None


def _cast_each(parts: tuple[_Part, ...], cast: str) -> Iterator[_Part]:
    element: list[_Part] = []
    for part in parts:
        pieces: list[_Part] = list(str(part).split(", ")) if _is_text(part) else [part]
        for number, piece in enumerate(pieces):
            if number:
                yield _Group("(", tuple(element))
                yield f"{cast}, "
                element = []
            element.append(piece)
    yield _Group("(", tuple(element))
    yield cast


def _is_text(part: _Part) -> bool:
    return isinstance(part, str) and not isinstance(part, _Quoted)


def _text(parts: tuple[_Part, ...]) -> str:
    return "".join(
        f"{p.opening}{_text(p.parts)}{_CLOSING[p.opening]}" if isinstance(p, _Group) else str(p) for p in parts
    )
